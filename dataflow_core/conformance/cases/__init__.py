"""The cases, a module for each topic. None of them names a database."""

from typing import Final

__all__ = ["MODULES"]

MODULES: Final = ()
