"""What was measured, and how it is kept: a JSON file for each part of the page."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from attrs import Factory, asdict, frozen

from benchmarks.rounds import Measured, Ratio
from benchmarks.startup import StartupFigures
from benchmarks.workflows import WorkflowFigures

__all__ = ["FOLDER", "DatabaseRun", "Report", "RuntimeRun", "kept_report", "write_report"]

FOLDER: Final = Path(__file__).resolve().parents[1] / "docs" / "performance"
"""Where the files of the page are."""


@frozen
class DatabaseRun:
    """The workloads on one database.

    ``quick``: the small size, which is a first look. ``versions``: of drivers and peers.
    """

    name: str
    title: str
    product: str
    rounds: int
    quick: bool
    settings: Mapping[str, str]
    versions: Mapping[str, str]
    environment: Mapping[str, str]
    measured: tuple[Measured, ...]

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> DatabaseRun:
        """The reverse of ``attrs.asdict``."""
        measured = tuple(
            Measured(
                **{
                    **line,
                    "ratios": {name: Ratio(**ratio) for name, ratio in line["ratios"].items()},
                }
            )
            for line in data["measured"]
        )
        return cls(**{**data, "measured": measured})


@frozen
class RuntimeRun:
    """What workflows and the start cost."""

    rounds: int
    environment: Mapping[str, str]
    workflows: WorkflowFigures | None = None
    startup: StartupFigures | None = None

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> RuntimeRun:
        """The reverse of ``attrs.asdict``."""
        flows, start = data["workflows"], data["startup"]
        return cls(
            data["rounds"],
            data["environment"],
            None if flows is None else WorkflowFigures(**flows),
            None if start is None else StartupFigures(**start),
        )


@frozen
class Report:
    """Everything that was measured; what was not asked for is not there."""

    databases: Mapping[str, DatabaseRun] = Factory(dict)
    runtime: RuntimeRun | None = None

    def to_json(self) -> dict[str, Any]:
        """By the name of the file."""
        parts: dict[str, Any] = {name: asdict(run) for name, run in self.databases.items()}
        if self.runtime is not None:
            parts["runtime"] = asdict(self.runtime)
        return parts


def write_report(report: Report, folder: Path = FOLDER) -> None:
    """Write the parts that there are; files of others stay."""
    folder.mkdir(exist_ok=True)
    for name, part in report.to_json().items():
        text = json.dumps(part, indent=1, ensure_ascii=False)
        (folder / f"{name}.json").write_text(text + "\n", encoding="utf-8")


def kept_report(folder: Path = FOLDER) -> Report:
    """What the files hold."""
    found = {
        path.stem: json.loads(path.read_text(encoding="utf-8")) for path in folder.glob("*.json")
    }
    runtime = found.pop("runtime", None)
    return Report(
        {name: DatabaseRun.from_json(part) for name, part in found.items()},
        None if runtime is None else RuntimeRun.from_json(runtime),
    )
