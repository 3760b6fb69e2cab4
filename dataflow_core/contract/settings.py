"""The settings of a plugin that is no dialect."""

from __future__ import annotations

from collections.abc import Mapping

from attrs import field, frozen

from dataflow_core.contract.dialect import Option

__all__ = ["PluginSettings"]


@frozen
class PluginSettings:
    """The arguments of ``DataFlow`` that a plugin understands.

    Attributes:
        options: arguments of its own, beside those of the core and of the dialects.
        serves: settings of the core that have an effect through it, such as ``enable_metrics``;
            each with ``None`` or, where something is missing for that, a sentence that says what.
    """

    options: tuple[Option, ...] = ()
    serves: Mapping[str, str | None] = field(factory=dict)
