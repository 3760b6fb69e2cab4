"""Functions made once per shape: parameters in, rows out. Nothing else happens per row."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from typing import Any

from dataflow_core.compile.statement import Codec, Parameter, ResultColumn

__all__ = ["function_from", "make_binder", "make_decoder", "make_values"]

Row = dict[str, Any]


def function_from(source: str, name: str, namespace: dict[str, Any]) -> Any:
    """Compile generated source and return the function ``name`` of it."""
    exec(compile(source, f"<generated {name}>", "exec"), namespace)  # noqa: S102 - our own text
    return namespace[name]


def make_binder(parameters: Sequence[Parameter]) -> Callable[[Sequence[Any]], tuple[Any, ...]]:
    """A function from an operation's values to the driver's parameters."""
    namespace: dict[str, Any] = {}
    parts = []
    for position, parameter in enumerate(parameters):
        value = f"values[{parameter.index}]"
        if parameter.read is not None:
            namespace[f"read{position}"] = parameter.read
            value = f"read{position}()"
        if parameter.encode is not None:
            namespace[f"encode{position}"] = parameter.encode
            value = f"encode{position}({value})"
        parts.append(value)
    source = f"def bind(values):\n    return ({', '.join(parts)}{',' if parts else ''})\n"
    binder: Callable[[Sequence[Any]], tuple[Any, ...]] = function_from(source, "bind", namespace)
    return binder


def make_decoder(
    columns: Sequence[ResultColumn], joined: Collection[str] = ()
) -> Callable[[Sequence[Sequence[Any]]], list[Row]]:
    """A function from the driver's rows to dicts. Names like ``_id.a`` become nested dicts.

    So do those of the ``joined`` rows, which are None where every value is.
    """
    namespace: dict[str, Any] = {}
    cells = [f"c{position}" for position in range(len(columns))]
    parts: dict[str, str] = {}
    nested: dict[str, list[str]] = {}
    empty: dict[str, list[str]] = {}
    for cell, column in zip(cells, columns, strict=True):
        text = _decoded(cell, column, namespace)
        head, dot, rest = column.name.partition(".")
        if dot and (head == "_id" or head in joined):
            empty.setdefault(head, []).append(f"{cell} is None")
            nested.setdefault(head, []).append(f"{rest!r}: {text}")
            parts[head] = ""
        else:
            parts[column.name] = text
    for head, members in nested.items():
        text = f"{{{', '.join(members)}}}"
        absent = " and ".join(empty[head])
        parts[head] = f"(None if {absent} else {text})" if head in joined else text
    body = ", ".join(f"{name!r}: {text}" for name, text in parts.items())
    target = f"({', '.join(cells)},)" if cells else "_"
    source = f"def decode(rows):\n    return [{{{body}}} for {target} in rows]\n"
    decoder: Callable[[Sequence[Sequence[Any]]], list[Row]] = function_from(
        source, "decode", namespace
    )
    return decoder


def make_values(
    codecs: Sequence[Codec],
) -> Callable[[Sequence[Sequence[Any]]], list[tuple[Any, ...]]]:
    """A function from rows as the driver takes them to tuples of canonical values."""
    namespace: dict[str, Any] = {}
    cells = [f"c{position}" for position in range(len(codecs))]
    texts = []
    for cell, codec in zip(cells, codecs, strict=True):
        restore = codec.restore
        namespace[f"restore_{cell}"] = restore
        text = f"None if {cell} is None else restore_{cell}({cell})"
        texts.append(cell if restore is None else f"({text})")
    body, target = ", ".join(texts), ", ".join(cells)
    source = f"def values(rows):\n    return [({body},) for ({target},) in rows]\n"
    made: Callable[[Sequence[Sequence[Any]]], list[tuple[Any, ...]]]
    made = function_from(source, "values", namespace)
    return made


def _decoded(cell: str, column: ResultColumn, namespace: dict[str, Any]) -> str:
    codec = column.codec
    if codec.decode_source is not None:
        text = f"({codec.decode_source.replace('value', cell)})"
        if codec.decode is not None:
            # The expression may call the codec's function by the name ``decode``.
            namespace[f"decode_{cell}"] = codec.decode
            text = text.replace("decode(", f"decode_{cell}(")
    elif codec.decode is not None:
        namespace[f"decode_{cell}"] = codec.decode
        text = f"decode_{cell}({cell})"
    else:
        return cell
    return f"(None if {cell} is None else {text})" if column.nullable else text
