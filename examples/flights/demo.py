"""A month of flights through workflows: load, change, ask, correct.

    python examples/flights/demo.py [--database URL] [--keep] [--sql]

Without `--database` a temporary SQLite file is used, and removed at the end.
"""

from __future__ import annotations

import argparse
import logging
import re
import shutil
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import workflows
from load import count, rows
from models import MODELS, register
from show import Screen, screen

from dataflow_core import DataFlow, DataFlowError, LocalRuntime, Workflow

Results = dict[str, dict[str, Any]]
MANY_ROWS = re.compile(r"(\([^()]*\))(?:, \([^()]*\))+")
LOADED = ("airlines", "airports", "planes", "weather", "flights")


class Demo:
    """The parts of the demo, on one opened database."""

    def __init__(self, db: DataFlow, out: Screen) -> None:
        self.db = db
        self.out = out
        self.runtime = LocalRuntime()
        self.seconds: dict[str, float] = {}

    def run(self) -> None:
        """Run all parts, one after the other."""
        self.out.say(f"opened {self.db.url}")
        for model in MODELS:
            self.out.say(f"  {model.__name__}: {(model.__doc__ or '').partition('.')[0]}")
        self.load()
        self.change()
        self.ask()
        self.correct()
        self.summarise()

    def load(self) -> None:
        """Every CSV file into its table. The rows are read while they are written."""
        self.out.heading("Load")
        workflow = workflows.loading(self.db)
        self.out.diagram("The workflow", workflow)
        self.out.say("")
        with self.out.progress({name: count(name) for name in LOADED}) as done:
            parameters = {name: {"data": rows(name), "on_progress": done[name]} for name in LOADED}
            results = self.execute("load", workflow, parameters)
        inserted = sum(results[name]["inserted"] for name in LOADED)
        self.out.say(f"{inserted:,} rows inserted in {self.seconds['load']:.2f} s")

    def change(self) -> None:
        """Bulk updates: a flag, and units."""
        self.out.heading("Change")
        results = self.execute("change", workflows.changing(self.db))
        cancelled = results["mark_cancelled"]["matched"]
        self.out.say(f"{cancelled:,} flights never departed and are now marked as cancelled")
        hours = results["to_metric_units"]["matched"]
        self.out.say(f"{hours:,} hours of weather are now in degrees Celsius and km/h")

    def ask(self) -> None:
        """Lists and aggregations."""
        self.out.heading("Ask")
        results = self.execute("ask", workflows.asking(self.db))
        names = {row["carrier"]: row["name"] for row in results["airlines"]["records"]}
        self.out.table(
            "The ten latest arrivals (minutes)",
            ("day", "carrier", "flight", "from", "to", "departure", "arrival"),
            [
                (
                    row["day"].isoformat(),
                    names[row["carrier"]],
                    f"{row['carrier']}{row['flight']}",
                    row["origin"],
                    row["dest"],
                    row["dep_delay"],
                    row["arr_delay"],
                )
                for row in results["worst_arrivals"]["records"]
            ],
        )
        columns = ("flights", "cancelled", "mean delay", "worst delay")
        self.out.table(
            "Delay of departure by carrier (minutes; cancelled flights have none)",
            ("carrier", *columns),
            [(names[row["_id"]], *_delays(row)) for row in results["by_carrier"]["result"]],
        )
        self.out.table(
            "Delay of departure by scheduled hour (minutes; cancelled flights have none)",
            ("hour", *columns),
            [(f"{row['_id']:02d}:00", *_delays(row)) for row in results["by_hour"]["result"]],
        )
        self.out.table(
            "Weather by airport (degrees Celsius, km/h)",
            ("airport", "hours", "mean", "lowest", "strongest wind"),
            [
                (
                    row["_id"],
                    row["hours"],
                    row["mean_temp"],
                    row["lowest_temp"],
                    row["strongest_wind"],
                )
                for row in results["weather"]["result"]
            ],
        )

    def correct(self) -> None:
        """An upsert from a file, all or nothing."""
        self.out.heading("Correct")
        results = self.execute("correct", workflows.correcting(self.db), transaction=True)
        upsert = results["corrections"]
        self.out.say(
            f"{upsert['processed']} corrections: {upsert['updated']} flights updated,"
            f" {upsert['inserted']} inserted"
        )
        missing = {"diverted": "departed, not arrived", "tailless": "without tail number"}
        self.out.table(
            "What was missing",
            ("flights", "before", "after"),
            [
                (text, results[f"{name}_before"]["count"], results[f"{name}_after"]["count"])
                for name, text in missing.items()
            ],
        )

    def summarise(self) -> None:
        """The rows of each table, and how long everything took."""
        self.out.heading("Summary")
        totals = [
            (model.__name__, self.db.run_sync(f"{model.__name__}CountNode")["count"])
            for model in MODELS
        ]
        self.out.table("Rows", ("model", "rows"), totals)
        self.out.table(
            "Seconds", ("part", "seconds"), [(part, f"{s:.2f}") for part, s in self.seconds.items()]
        )

    def execute(self, part: str, workflow: Workflow, parameters: Any = None, **how: Any) -> Results:
        """Run a workflow and note how long it took."""
        start = time.perf_counter()
        results, _ = self.runtime.execute(workflow, parameters, **how)
        self.seconds[part] = time.perf_counter() - start
        return results


def _delays(row: dict[str, Any]) -> tuple[Any, ...]:
    return row["flights"], row["cancelled"], row["mean_delay"], row["worst_delay"]


@contextmanager
def database(arguments: argparse.Namespace, out: Screen) -> Iterator[str]:
    """The URL to open; the temporary file is removed afterwards, unless it is to be kept."""
    if arguments.database:
        yield arguments.database
        return
    folder = Path(tempfile.mkdtemp(prefix="dataflow-demo-"))
    try:
        yield f"sqlite:///{folder / 'flights.db'}"
    finally:
        if arguments.keep:
            out.say(f"\nthe database is kept: {folder / 'flights.db'}")
        else:
            shutil.rmtree(folder)


class Statements(logging.Handler):
    """Prints the statements that DataFlow logs, each the first time that it runs."""

    def __init__(self, out: Screen) -> None:
        super().__init__()
        self.out = out
        self.seen: set[str] = set()

    def emit(self, record: logging.LogRecord) -> None:
        text = " ".join(record.getMessage().split())
        # Many rows in one statement: the first says all.
        text = MANY_ROWS.sub(r"\1, ...", text)
        if text not in self.seen:
            self.seen.add(text)
            self.out.say(f"  SQL  {text}")


def main() -> int:
    """Read the arguments and run the demo; 0 if all went well."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--database", metavar="URL", help="another database, an empty one")
    parser.add_argument("--keep", action="store_true", help="keep the temporary SQLite file")
    parser.add_argument("--sql", action="store_true", help="print the statements, values left out")
    arguments = parser.parse_args()
    out = screen()
    if arguments.sql:
        logger = logging.getLogger("dataflow.sql")
        logger.setLevel(logging.INFO)
        logger.addHandler(Statements(out))
        logger.propagate = False
    try:
        with database(arguments, out) as url, DataFlow(url, echo=arguments.sql) as db:
            register(db)
            Demo(db, out).run()
    except DataFlowError as error:
        out.say(f"\n{error}")
        return 1
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
