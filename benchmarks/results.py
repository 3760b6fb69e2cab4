"""What was measured, and how it is kept: a JSON file for each part of the page."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

from attrs import Factory, asdict, evolve, frozen

from benchmarks.flights import FlightFigures
from benchmarks.rounds import Measured, Ratio
from benchmarks.sizes import SizeFigure
from benchmarks.startup import StartupFigures
from benchmarks.workflows import WorkflowFigures

__all__ = [
    "FOLDER",
    "DatabaseRun",
    "FlightRun",
    "Report",
    "RuntimeRun",
    "SizeRun",
    "kept_report",
    "write_report",
]

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
        measured = []
        for line in data["measured"]:
            ratios = {name: Ratio(**ratio) for name, ratio in line["ratios"].items()}
            measured.append(Measured(**{**line, "ratios": ratios}))
        return cls(**{**data, "measured": tuple(measured)})


@frozen
class SizeRun:
    """What a row costs on one database, by number of rows."""

    name: str
    title: str
    product: str
    rounds: int
    environment: Mapping[str, str]
    figures: tuple[SizeFigure, ...]

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> SizeRun:
        """The reverse of ``attrs.asdict``."""
        figures = tuple(SizeFigure(**figure) for figure in data["figures"])
        return cls(**{**data, "figures": figures})


@frozen
class FlightRun:
    """The flights of a year into one database."""

    name: str
    title: str
    product: str
    rounds: int
    environment: Mapping[str, str]
    figures: FlightFigures

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> FlightRun:
        """The reverse of ``attrs.asdict``."""
        figures = dict(data["figures"])
        for name in ("ratio", "noise"):
            figures[name] = Ratio(**figures[name])
        return cls(**{**data, "figures": FlightFigures(**figures)})


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
    """Everything that was measured, by database; what was not asked for is not there."""

    databases: Mapping[str, DatabaseRun] = Factory(dict)
    sizes: Mapping[str, SizeRun] = Factory(dict)
    flights: Mapping[str, FlightRun] = Factory(dict)
    runtime: RuntimeRun | None = None

    def with_part(self, kind: str, name: str, run: Any) -> Report:
        """The report with a run of a database."""
        changes: dict[str, Any] = {kind: {**getattr(self, kind), name: run}}
        return evolve(self, **changes)

    def to_json(self) -> dict[str, Any]:
        """By the name of the file."""
        parts: dict[str, Any] = {}
        for kind, prefix in _PREFIXES.items():
            for name, run in getattr(self, kind).items():
                parts[prefix + name] = asdict(run)
        if self.runtime is not None:
            parts["runtime"] = asdict(self.runtime)
        return parts


_PREFIXES: Final = {"databases": "database-", "sizes": "sizes-", "flights": "flights-"}
_CLASSES: Final[dict[str, Any]] = {
    "databases": DatabaseRun,
    "sizes": SizeRun,
    "flights": FlightRun,
}


def write_report(report: Report, folder: Path = FOLDER) -> None:
    """Write the parts that there are; files of others stay."""
    folder.mkdir(exist_ok=True)
    for name, part in report.to_json().items():
        text = json.dumps(part, indent=1, ensure_ascii=False)
        (folder / f"{name}.json").write_text(text + "\n", encoding="utf-8")


def kept_report(folder: Path = FOLDER) -> Report:
    """What the files hold."""
    report = Report()
    for kind, prefix in _PREFIXES.items():
        for name, data in _read(folder, prefix):
            report = report.with_part(kind, name, _CLASSES[kind].from_json(data))
    for _, data in _read(folder, "runtime"):
        report = evolve(report, runtime=RuntimeRun.from_json(data))
    return report


def _read(folder: Path, prefix: str) -> Iterator[tuple[str, dict[str, Any]]]:
    for path in sorted(folder.glob(f"{prefix}*.json")):
        yield path.stem.removeprefix(prefix), json.loads(path.read_text(encoding="utf-8"))
