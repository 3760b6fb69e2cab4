from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from dataflow_core.compile.codegen import make_binder, make_decoder
from dataflow_core.compile.statement import PLAIN, Codec, Parameter, ResultColumn
from dataflow_core.types import Integer


def column(name: str, codec: Codec = PLAIN, *, nullable: bool = True) -> ResultColumn:
    """A column that comes back."""
    return ResultColumn(name, Integer(), codec, nullable)


def test_values_are_bound_by_position_and_encoded() -> None:
    """A value may be bound twice, in another order, in different forms, or not at all."""
    bind = make_binder([Parameter(1), Parameter(0, str), Parameter(1, lambda value: value * 2)])
    assert bind([5, 7, "not bound"]) == (7, "5", 14)
    assert make_binder([Parameter(0)])([5]) == (5,)
    assert make_binder([])([5]) == ()


def test_rows_become_dicts() -> None:
    """By name, in order, each cell decoded, None left alone."""
    decode = make_decoder([column("a"), column("b", Codec(decode=str)), column("c")])
    assert decode([(1, 2, None), (None, None, 3)]) == [
        {"a": 1, "b": "2", "c": None},
        {"a": None, "b": None, "c": 3},
    ]
    assert decode([]) == []
    assert make_decoder([])([(), ()]) == [{}, {}]


def test_none_is_not_decoded_nor_tested_for_in_vain() -> None:
    """A column that is never NULL is decoded without asking."""
    seen: list[Any] = []

    def note(value: Any) -> Any:
        seen.append(value)
        return value

    make_decoder([column("a", Codec(decode=note))])([(None,)])
    assert seen == []
    make_decoder([column("a", Codec(decode=note), nullable=False)])([(None,)])
    assert seen == [None]


def test_a_codec_may_give_its_source() -> None:
    """An expression over `value`, which may call the codec's function as `decode`."""
    decode = make_decoder(
        [
            column("a", Codec(decode_source="value == 1")),
            column("b", Codec(decode=str.upper, decode_source="decode(value)")),
        ]
    )
    assert decode([(1, "x"), (None, None)]) == [{"a": True, "b": "X"}, {"a": None, "b": None}]


def test_parts_of_a_key_become_one_document() -> None:
    """`_id.a` and `_id.b` are put together; other dots stay."""
    decode = make_decoder([column("_id.a"), column("_id.b"), column("x.y")])
    assert decode([(1, 2, 3)]) == [{"_id": {"a": 1, "b": 2}, "x.y": 3}]


@given(st.lists(st.text(min_size=1), unique=True, min_size=1, max_size=5))
def test_any_name_is_only_a_name(names: list[str]) -> None:
    """Whatever a column is called, it is the key of the dict and never code."""
    names = [name for name in names if not name.startswith("_id.")] or ["a"]
    row = tuple(range(len(names)))
    assert [dict(zip(names, row, strict=True))] == make_decoder([column(n) for n in names])([row])
