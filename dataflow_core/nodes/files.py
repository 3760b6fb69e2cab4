"""The nodes that write rows into files and read them from there."""

from __future__ import annotations

import os
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from attrs import define

from dataflow_core.errors import DataFlowError, InvalidType, MissingParameter
from dataflow_core.naming_hints import quoted
from dataflow_core.nodes.bulk import BulkNodes
from dataflow_core.nodes.listing import ListNodes
from dataflow_core.nodes.values import Selector, boolean, refuse_without_policy
from dataflow_core.run.explain import Explanation
from dataflow_core.schema import Model
from dataflow_core.transfer import Source, Target, format_of
from dataflow_core.transfer.columns import Columns
from dataflow_core.transfer.progress import Progress

if TYPE_CHECKING:
    from dataflow_core.nodes.base import Context
    from dataflow_core.run.engine import Engine

__all__ = ["EXPORT_PARAMETERS", "IMPORT_PARAMETERS", "FileNodes"]

Result = dict[str, Any]

_STREAM = ("filter", "order_by", "select", "limit", "offset", "batch_size")
_BULK = ("conflict", "batch_size", "atomic")
EXPORT_PARAMETERS = ("path", "format", *_STREAM, "overwrite", "progress", "on_progress")
IMPORT_PARAMETERS = ("path", "format", "mapping", *_BULK, "progress", "on_progress")


@define(eq=False)
class FileNodes:
    """The behaviour of a model's nodes for files."""

    model: Model
    engine: Callable[[], Engine]
    selector: Selector
    listing: ListNodes
    bulk: BulkNodes

    async def export_to(self, context: Context, parameters: Mapping[str, Any]) -> Result:
        """Write the rows of a list into a file: how many."""
        node = f"{self.model.name}ExportNode"
        refuse_without_policy(node, parameters)
        path = _path(node, parameters)
        form = format_of(node, path, parameters.get("format"))
        fields = self.selector.columns(node, parameters.get("select"))
        overwrite = boolean(node, parameters, "overwrite", default=False)
        progress = self._progress(node, parameters, f"exporting {path.name}")
        asked = {name: parameters[name] for name in _STREAM if name in parameters}
        stream = self.listing.stream(asked, node)
        rows = 0
        if isinstance(self.engine().current_transaction(), Explanation):
            await stream.open()
            return _exported(path, form.name, rows)
        target = Target(path, form, overwrite=overwrite)
        try:
            await target.check()
            with progress:
                async with stream:
                    await target.open(fields)
                    async for batch in stream.batches():
                        await target.write(batch)
                        rows += len(batch)
                        told = progress(rows)
                        if isinstance(told, Awaitable):
                            await told
            await target.finish()
        except BaseException:
            await target.give_up()
            raise
        return _exported(path, form.name, rows)

    async def import_from(self, context: Context, parameters: Mapping[str, Any]) -> Result:
        """Store the rows of a file: counts."""
        node = f"{self.model.name}ImportNode"
        refuse_without_policy(node, parameters)
        path = _path(node, parameters)
        form = format_of(node, path, parameters.get("format"))
        columns = Columns.of(node, self.model, parameters.get("mapping"))
        progress = self._progress(node, parameters, f"importing {path.name}")
        given = {name: parameters[name] for name in _BULK if name in parameters}
        source = Source(path, form, columns)
        try:
            await source.open()
            with progress:
                if progress.wanted:
                    given["on_progress"] = progress
                counts = await self.bulk.create(context, {**given, "data": source.rows()}, node)
        except DataFlowError as error:
            # The same error, so that what it was raised from stays with it.
            await source.located(error)
            raise
        finally:
            await source.close()
        about = {"path": str(path), "format": form.name}
        return {**counts, **about, "result": {**counts["result"], **about}}

    def _progress(self, node: str, parameters: Mapping[str, Any], label: str) -> Progress:
        told = parameters.get("on_progress")
        if told is not None and not callable(told):
            raise InvalidType(f"{node}: on_progress is called with the number of rows done")
        shown = boolean(node, parameters, "progress", default=False)
        return Progress(f"{self.model.name}: {label}", told, shown=shown)


def _path(node: str, parameters: Mapping[str, Any]) -> Path:
    given = parameters.get("path")
    if given is None:
        raise MissingParameter(f"{node}: path is missing: the file", parameter="path")
    path = os.fspath(given) if isinstance(given, os.PathLike) else given
    if not isinstance(path, str) or not path or "\0" in path:
        raise InvalidType(f"{node}: path is the path of a file, got {quoted(given)}")
    return Path(path)


def _exported(path: Path, form: str, rows: int) -> Result:
    about = {"path": str(path), "format": form, "rows": rows}
    return {"result": about, **about, "success": True}
