from __future__ import annotations

import typing

import attrs
import pytest

from dataflow_core import operations
from dataflow_core.compile import OPERATIONS
from dataflow_core.dialect.alter import STEPS
from dataflow_core.filters import Always, Bindings
from dataflow_core.operations import Count, Create, Find, Operation, Step
from dataflow_core.types import Integer
from tests.core.compile.toy import ITEM, predicate
from tests.core.language import USER


def test_an_operation_is_its_own_shape() -> None:
    """Equal and hashed by what is asked, without the values; another model is another shape."""
    one, other = (Find(ITEM, ITEM.fields, predicate({"size": n})[0]) for n in (1, 2))
    assert len({one, other}) == 1
    assert len({Count(ITEM), Count(USER)}) == 2
    assert len({Create(ITEM, ITEM.fields), Create(ITEM, ITEM.fields[:1])}) == 2


def test_what_changes_the_statement_changes_the_shape() -> None:
    """A limit, a distinct, null or a longer list make another operation."""
    slot = Bindings().slot(1, Integer())
    shapes = {
        Find(ITEM, ITEM.fields),
        Find(ITEM, ITEM.fields, limit=slot),
        Find(ITEM, ITEM.fields, offset=slot),
        Find(ITEM, ITEM.fields, distinct=True),
        *(
            Find(ITEM, ITEM.fields, predicate({"size": operand})[0])
            for operand in (1, None, {"$in": [1]}, {"$in": [1, 2]})
        ),
    }
    assert len(shapes) == 8


def test_operations_never_change() -> None:
    """They are values; the empty filter lets everything through."""
    found = Count(ITEM)
    assert Always(True) == found.filter
    with pytest.raises(attrs.exceptions.FrozenInstanceError):
        found.filter = Always(False)  # type: ignore[misc]


def test_every_operation_is_public_and_compiled() -> None:
    """Each row operation has its entry in the compiler's table and its public name."""
    known = set(typing.get_args(Operation))
    assert known == set(OPERATIONS)
    assert known <= {getattr(operations, name) for name in operations.__all__}


def test_every_step_is_public_and_compiled() -> None:
    """Each step of a change of a table has its entry in the compiler's table, and its name."""
    known = set(typing.get_args(Step))
    assert known == set(STEPS)
    assert known <= {getattr(operations, name) for name in operations.__all__}
