"""Methods of an instance that plugins bring."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import pytest

from dataflow_core import DataFlow
from dataflow_core.contract import hookimpl
from dataflow_core.errors import PluginError


class Plugin:
    """Brings the methods that it is given."""

    def __init__(self, methods: Any) -> None:
        self.methods = methods

    @hookimpl
    def dataflow_methods(self) -> Mapping[str, Callable[..., Any]]:
        """The methods."""
        answer: Mapping[str, Callable[..., Any]] = self.methods
        return answer


def opened(methods: Any, *more: Any) -> DataFlow:
    """An instance with the methods, without installed policies."""
    plugins = [(f"p{at}", Plugin(one)) for at, one in enumerate((methods, *more))]
    return DataFlow("sqlite://", plugins=plugins, disabled_plugins=["policies"])


async def double(db: DataFlow, number: int) -> int:
    """Twice the number."""
    assert isinstance(db, DataFlow)
    return 2 * number


def test_a_plugin_brings_methods() -> None:
    """A plain function is called with the instance; an asynchronous one has two forms."""
    with opened({"double": double, "named": lambda db, name: f"{name} of {len(db.node_names())}"}):
        pass
    with opened({"double": double, "plain": lambda db, value: value}) as db:
        assert db.double(number=4) == 8
        assert db.plain(3) == 3
        assert not hasattr(db, "aplain")


async def test_the_asynchronous_form() -> None:
    """The form with an ``a`` in front is awaited."""
    async with opened({"double": double}) as db:
        assert await db.adouble(4) == 8


@pytest.mark.parametrize("name", ["audit", "averify_audit"])
def test_a_method_that_is_not_installed_names_the_package(name: str) -> None:
    """What a first-party plugin would bring is an ``AttributeError`` that says what to install."""
    with opened({}) as db, pytest.raises(AttributeError, match=r"dataflow-db\[policies\]"):
        getattr(db, name)


def test_a_misspelt_name_is_told() -> None:
    """Any other name is an ``AttributeError`` with the nearest one."""
    with opened({"double": double}) as db:
        with pytest.raises(AttributeError, match="double"):
            db.doubel  # noqa: B018 - reading it is the test
        with pytest.raises(AttributeError, match="list_models"):
            db.list_model  # noqa: B018


@pytest.mark.parametrize("methods", [5, {"no name": double}, {"x": 3}, {"run": double}])
def test_wrong_answers_are_refused(methods: Any) -> None:
    """What is no function, or has the name of a method that there is, names the plugin."""
    with pytest.raises(PluginError, match="p0"):
        opened(methods)


def test_two_plugins_cannot_bring_one_method() -> None:
    """The second plugin with a name is refused."""
    with pytest.raises(PluginError, match="p"):
        opened({"double": double}, {"double": double})
