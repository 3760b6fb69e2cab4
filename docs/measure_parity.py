"""Runs the conformance suite on databases and writes what the parity page is made of.

    python docs/measure_parity.py sqlite=sqlite:////tmp/parity.db postgres=postgresql://...

Each `name=URL` writes `docs/reference/parity/<name>.json`; then the pages are written anew.
"""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

DOCS = Path(__file__).resolve().parent
if __name__ == "__main__":
    sys.path.insert(0, str(DOCS.parent))

from dataflow_core.conformance import run  # noqa: E402 - run as a program, too
from dataflow_core.conformance.saved_report import write_report  # noqa: E402
from docs import generate  # noqa: E402

WORKERS = 2


def measure(name: str, url: str, folder: Path) -> bool:
    """Run the suite on a database, write its summary, and return whether every claim is true."""
    report = asyncio.run(run(url, workers=WORKERS))
    print(f"{name}: {report.versions.server}, {report.counts}, tier {report.tier}")
    write_report(folder / f"{name}.json", report.to_summary())
    return report.passed


def main(arguments: list[str]) -> int:
    """Measure what the arguments name; 1 if a claim is not true, 2 for a malformed argument."""
    databases = [argument.partition("=") for argument in arguments]
    if not databases or not all(name.isidentifier() and url for name, _, url in databases):
        print(__doc__, file=sys.stderr)
        return 2
    generate.PARITY.mkdir(exist_ok=True)
    passed = [measure(name, url, generate.PARITY) for name, _, url in databases]
    generate.main()
    return 0 if all(passed) else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
