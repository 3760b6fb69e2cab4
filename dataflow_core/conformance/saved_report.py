"""Reports in files: written, and read again with a check of their form."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from dataflow_core.conformance.report import SCHEMA
from dataflow_core.errors import InvalidValue

__all__ = ["read_report", "write_report"]

_PARTS: Final[Mapping[str, type | tuple[type, ...]]] = {
    "versions": dict,
    "complete": bool,
    "passed": bool,
    "tier": (str, type(None)),
    "total": int,
    "features": list,
}


def write_report(path: Path, report: Mapping[str, Any]) -> None:
    """Write a report as JSON.

    Raises:
        OSError: the file cannot be written.
    """
    text = json.dumps(report, ensure_ascii=False, indent=2)
    # A lone surrogate, as a case may have sent one, is no text that a file can hold.
    path.write_bytes(f"{text}\n".encode("utf-8", "backslashreplace"))


def read_report(path: Path, *, cases: bool = False) -> dict[str, Any]:
    """Read what ``write_report`` wrote.

    Parameters:
        path: the file.
        cases: whether the report has to have its cases, as a summary has not.

    Raises:
        OSError: the file cannot be read.
        InvalidValue: it holds no report, or one of another form.
    """
    try:
        report = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise InvalidValue(f"{path} holds no JSON: {error}") from error
    if not isinstance(report, dict) or "schema" not in report:
        raise InvalidValue(f"{path} is no report of the conformance suite")
    if report["schema"] != SCHEMA:
        raise InvalidValue(
            f"{path} is a report of schema {report['schema']!r}, this command reads {SCHEMA}"
        )
    for name, kind in _PARTS.items():
        if not isinstance(report.get(name), kind):
            raise InvalidValue(f"{path} is no whole report: {name!r} is missing or malformed")
    if cases and not isinstance(report.get("cases"), list):
        raise InvalidValue(f"{path} is a summary without cases; write it with --report")
    return report
