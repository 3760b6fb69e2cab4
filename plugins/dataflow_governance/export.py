"""A person's rows, as JSON or as CSV."""

from __future__ import annotations

import io
from typing import Any, Final

from dataflow_core.schema import Model
from dataflow_core.transfer import FORMATS, json_rows
from dataflow_governance.access import Access
from dataflow_governance.walk import Belongings

__all__ = ["FORMAT_NAMES", "exported"]

FORMAT_NAMES: Final = ("json", "csv")


async def exported(found: Belongings, access: Access, form: str) -> dict[str, Any]:
    """By model, sorted by key: rows of what JSON has types for, or the text of a CSV file."""
    write = _csv if form == "csv" else _json
    return {model.name: await write(found, access, model) for model in found.rows}


async def _json(found: Belongings, access: Access, model: Model) -> list[dict[str, Any]]:
    convert = json_rows(model.fields)
    result: list[dict[str, Any]] = []
    async for rows in access.by_key(model, list(found.rows[model])):
        result.extend(convert(rows))
    return result


async def _csv(found: Belongings, access: Access, model: Model) -> str:
    file = io.BytesIO()
    writer = FORMATS["csv"].writer(file, model.fields)
    async for rows in access.by_key(model, list(found.rows[model])):
        writer.write(rows)
    writer.finish()
    return file.getvalue().decode()
