"""The flights example says what plain Python finds in its files."""

from __future__ import annotations

import contextlib
import csv
import gzip
import os
import pty
import re
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from statistics import fmean
from typing import IO

import pytest

ROOT = Path(__file__).resolve().parents[2]
EXAMPLE = ROOT / "examples" / "flights"
DATA = EXAMPLE / "data"
SECONDS = 20

Line = Mapping[str, str]


def lines(name: str) -> list[Line]:
    """The lines of a file of the example."""
    path = DATA / name
    unpack = gzip.open if path.suffix == ".gz" else open
    with unpack(path, "rt") as file:
        return list(csv.DictReader(file))


@pytest.fixture(scope="module")
def flights() -> list[Line]:
    """The flights as the file has them."""
    return lines("flights.csv.gz")


class Run:
    """A run of the demo: what it printed, and the file it left behind."""

    def __init__(self, folder: Path) -> None:
        self.file = folder / "flights.db"
        environment = {k: v for k, v in os.environ.items() if not k.startswith("DATAFLOW_")}
        environment["PYTHONPATH"] = str(ROOT)
        start = time.monotonic()
        result = subprocess.run(
            [
                *(sys.executable, "-W", "error", str(EXAMPLE / "demo.py"), "--sql"),
                *("--database", f"sqlite:///{self.file}"),
            ],
            cwd=folder,
            env=environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=100,
            check=False,
        )
        self.seconds = time.monotonic() - start
        assert result.returncode == 0, result.stdout + result.stderr
        assert not result.stderr
        self.output = result.stdout

    def table(self, title: str) -> list[list[str]]:
        """The rows of a printed table, without the names of its columns."""
        after = self.output.split(f"\n{title}", 1)[1].split("\n", 1)[1]
        printed = after.split("\n\n")[0].splitlines()
        rows = [re.split(r"  +", line.strip()) for line in printed if line.startswith("  ")]
        return rows[1:]


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    """One run of the demo on a SQLite file of its own."""
    return Run(tmp_path_factory.mktemp("demo"))


pytestmark = pytest.mark.timeout(120)


def number(text: str) -> float | None:
    """A number as the demo prints it; a dash is None."""
    return None if text == "-" else float(text.replace(",", ""))


def delays(group: Iterable[Line]) -> list[float]:
    """Flights, cancelled ones, mean and greatest delay of departure of a group of flights."""
    flights = list(group)
    known = [int(line["dep_delay"]) for line in flights if line["dep_delay"] != "NA"]
    cancelled = sum(line["dep_time"] == "NA" for line in flights)
    return [len(flights), cancelled, round(fmean(known), 1), max(known)]


def grouped(flights: Iterable[Line], key: Callable[[Line], str]) -> dict[str, list[float]]:
    """The delays of the flights by a key."""
    groups: dict[str, list[Line]] = {}
    for line in flights:
        groups.setdefault(key(line), []).append(line)
    return {name: delays(group) for name, group in groups.items()}


def printed(rows: list[list[str]]) -> dict[str, list[float | None]]:
    """The rows of a table by their first column, the rest as numbers."""
    return {name: [number(text) for text in rest] for name, *rest in rows}


def close(found: Mapping[str, list[float | None]], expected: Mapping[str, list[float]]) -> bool:
    """Whether both tables have the same keys and, as far as is printed, the same numbers."""
    return found.keys() == expected.keys() and all(
        value == pytest.approx(expected[name], abs=0.051) for name, value in found.items()
    )


def test_the_data_is_what_its_readme_says(flights: list[Line]) -> None:
    """The files hold as many rows as data/README.md says."""
    readme = (DATA / "README.md").read_text(encoding="utf-8")
    said = dict(re.findall(r"^\| `([\w.]+)` \| ([\d,]+) \|", readme, re.MULTILINE))
    held = {path.name for path in DATA.iterdir() if ".csv" in path.suffixes}
    assert held == said.keys()
    for name, count in said.items():
        assert len(lines(name)) == int(count.replace(",", "")), name
    assert {(line["year"], line["month"]) for line in flights} == {("2013", "1")}


def test_the_demo_is_quick(run: Run) -> None:
    """The whole demo takes less than 20 seconds."""
    assert run.seconds < SECONDS


def test_every_file_is_loaded(run: Run, flights: list[Line]) -> None:
    """Each file is loaded completely, and the progress ends at the number of its rows."""
    for name in ("airlines", "airports", "planes", "weather"):
        count = len(lines(f"{name}.csv"))
        assert f"  {name}: {count:,} of {count:,} rows" in run.output
    assert f"  flights: {len(flights):,} of {len(flights):,} rows" in run.output


def test_cancelled_flights_are_marked(run: Run, flights: list[Line]) -> None:
    """The bulk update matches the flights without a time of departure."""
    cancelled = sum(line["dep_time"] == "NA" for line in flights)
    assert f"{cancelled:,} flights never departed" in run.output


def test_the_worst_arrivals_are_listed(run: Run, flights: list[Line]) -> None:
    """The list has the ten greatest delays of arrival, the greatest first."""
    worst = sorted(
        (int(line["arr_delay"]) for line in flights if line["arr_delay"] != "NA"), reverse=True
    )
    rows = run.table("The ten latest arrivals")
    assert [number(row[-1]) for row in rows] == worst[:10]
    first = next(line for line in flights if line["arr_delay"] == str(worst[0]))
    assert f"{first['carrier']}{first['flight']}" in rows[0]


def test_delays_by_carrier(run: Run, flights: list[Line]) -> None:
    """Counts, means and extremes by carrier equal those of the file, the worst carrier first."""
    names = {line["carrier"]: line["name"] for line in lines("airlines.csv")}
    found = printed(run.table("Delay of departure by carrier"))
    assert close(found, grouped(flights, lambda line: names[line["carrier"]]))
    means = [row[2] or 0.0 for row in found.values()]
    assert means == sorted(means, reverse=True)


def test_delays_by_hour(run: Run, flights: list[Line]) -> None:
    """Counts, means and extremes by scheduled hour equal those of the file, in order."""
    found = printed(run.table("Delay of departure by scheduled hour"))
    assert close(found, grouped(flights, lambda line: f"{int(line['hour']):02d}:00"))
    assert list(found) == sorted(found)


def test_weather_is_converted(run: Run) -> None:
    """After the update with operators the weather is in degrees Celsius and km/h."""
    groups: dict[str, list[Line]] = {}
    for line in lines("weather.csv"):
        groups.setdefault(line["origin"], []).append(line)
    expected = {}
    for origin, group in groups.items():
        celsius = [(float(line["temp"]) - 32) / 1.8 for line in group]
        wind = max(float(line["wind_speed"]) for line in group) * 1.609344
        expected[origin] = [float(len(group)), fmean(celsius), min(celsius), wind]
    assert close(printed(run.table("Weather by airport")), expected)


def test_corrections_are_upserted(run: Run, flights: list[Line]) -> None:
    """The correction file updates the flights that are there and inserts the others."""

    def key(line: Line) -> tuple[str, ...]:
        return line["time_hour"], line["carrier"], line["flight"]

    corrections = {key(line): line for line in lines("corrections.csv")}
    before = {key(line): line for line in flights}
    updated = len(corrections.keys() & before.keys())
    inserted = len(corrections) - updated
    assert (
        f"{len(corrections)} corrections: {updated} flights updated, {inserted} inserted"
        in run.output
    )
    after = before | corrections

    def missing(table: Mapping[tuple[str, ...], Line]) -> list[list[int]]:
        diverted = [
            line
            for line in table.values()
            if line["dep_time"] != "NA" and line["arr_delay"] == "NA"
        ]
        tailless = [line for line in table.values() if line["tailnum"] == "NA"]
        return [[len(diverted)], [len(tailless)]]

    expected = [old + new for old, new in zip(missing(before), missing(after), strict=True)]
    found = [[number(text) for text in row[1:]] for row in run.table("What was missing")]
    assert found == expected
    assert printed(run.table("Rows"))["Flight"] == [len(after)]


def test_the_file_holds_what_was_said(run: Run, flights: list[Line]) -> None:
    """The file, opened without DataFlow, is whole and holds the flights with their NULLs."""
    connection = sqlite3.connect(run.file)
    try:
        assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        assert connection.execute("PRAGMA foreign_key_check").fetchall() == []
        query = "SELECT count(*), count(dep_time), count(*) FILTER (WHERE cancelled) FROM flights"
        total, departed, cancelled = connection.execute(query).fetchone()
    finally:
        connection.close()
    never = sum(line["dep_time"] == "NA" for line in flights)
    corrections = len(lines("corrections.csv"))
    assert len(flights) < total < len(flights) + corrections
    assert cancelled == never == total - departed


def test_statements_are_shown_without_values(run: Run) -> None:
    """`--sql` prints each kind of statement, with placeholders and no value of a row."""
    statements = [line for line in run.output.splitlines() if "  SQL  " in line]
    text = "\n".join(statements).upper()
    for word in ("CREATE TABLE", "INSERT INTO", "UPDATE", "SELECT", "GROUP BY", "ON CONFLICT"):
        assert word in text, word
    assert "JetBlue" not in "\n".join(statements)


def test_the_workflow_is_drawn(run: Run) -> None:
    """The loading workflow is shown as Mermaid text, with its connections."""
    assert "flowchart TD" in run.output
    assert "FlightBulkCreateNode" in run.output


def test_a_terminal_gets_panels_and_bars(tmp_path: Path) -> None:
    """On a terminal, with rich, the workflow is drawn as panels and the load has a bar."""
    reading, writing = pty.openpty()
    with (tmp_path / "typescript").open("w+b") as typescript:
        copying = threading.Thread(target=copy, args=(reading, typescript))
        copying.start()
        result = subprocess.run(
            [sys.executable, str(EXAMPLE / "demo.py")],
            env={**os.environ, "PYTHONPATH": str(ROOT), "TERM": "xterm-256color", "COLUMNS": "100"},
            stdin=subprocess.DEVNULL,
            stdout=writing,
            timeout=100,
            check=False,
        )
        os.close(writing)
        copying.join()
        typescript.seek(0)
        screen = typescript.read().decode()
    assert result.returncode == 0, screen
    assert "\u2570" in screen, "the corner of a panel"
    assert "27004/27004" in screen
    assert "flowchart" not in screen


def copy(reading: int, file: IO[bytes]) -> None:
    """Copy what a terminal shows until its other end is closed, which Linux calls an error."""
    with contextlib.suppress(OSError):
        while chunk := os.read(reading, 65536):
            file.write(chunk)
    os.close(reading)


def test_no_file_is_left_behind(tmp_path: Path) -> None:
    """Without `--database` the demo works on a temporary file, and removes it."""
    environment = {k: v for k, v in os.environ.items() if not k.startswith("DATAFLOW_")}
    environment |= {"PYTHONPATH": str(ROOT), "TMPDIR": str(tmp_path)}
    result = subprocess.run(
        [sys.executable, str(EXAMPLE / "demo.py")],
        cwd=tmp_path,
        env=environment,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )
    assert result.returncode == 0, result.stdout + result.stderr
    assert "opened sqlite:///" in result.stdout
    assert not list(tmp_path.iterdir())


def test_a_wrong_url_is_explained(tmp_path: Path) -> None:
    """A database that cannot be opened ends the demo with the error's text and no traceback."""
    result = subprocess.run(
        [sys.executable, str(EXAMPLE / "demo.py"), "--database", "nosuch://host/db"],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert result.returncode == 1
    assert "DF-" in result.stdout
    assert "Traceback" not in result.stderr + result.stdout
