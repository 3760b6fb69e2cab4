"""What the figures depend on: versions and the machine."""

from __future__ import annotations

import datetime as dt
import os
import platform
import re
from collections.abc import Iterable
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

__all__ = ["environment", "versions"]


def environment() -> dict[str, str]:
    """When, on which interpreter and machine."""
    return {
        "date": dt.datetime.now(dt.UTC).date().isoformat(),
        "Python": f"{platform.python_implementation()} {platform.python_version()}",
        "dataflow-db": version("dataflow-db"),
        "machine": f"{os.cpu_count()} cores, {_processor()}, {platform.system()},"
        f" load average {os.getloadavg()[0]:.1f}",
    }


def versions(distributions: Iterable[str]) -> dict[str, str]:
    """The versions of those that are installed."""
    found = {}
    for name in distributions:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found


def _processor() -> str:
    information = Path("/proc/cpuinfo")
    if information.exists():
        found = re.search(r"model name\s*:\s*(.+)", information.read_text(encoding="utf-8"))
        if found is not None:
            return found[1].strip()
    return platform.machine()
