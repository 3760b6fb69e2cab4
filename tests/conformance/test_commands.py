from __future__ import annotations

import json
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest

from dataflow_core import __version__
from dataflow_core.conformance import SUITE
from dataflow_core.conformance.command import main
from dataflow_core.conformance.commands import COMMANDS
from dataflow_sqlite.compiler import SQLiteCompiler

ROOT = Path(__file__).resolve().parents[2]
Capture = pytest.CaptureFixture[str]


def backwards(
    _self: SQLiteCompiler, sql: str, *, descending: bool = False, nullable: bool = False
) -> str:
    """An order that is never right."""
    return f"{sql} DESC"


@pytest.fixture
def wrong_order(monkeypatch: pytest.MonkeyPatch) -> None:
    """Makes a dialect that sorts the wrong way round."""
    monkeypatch.setattr(SQLiteCompiler, "order_item", backwards)


def test_run_writes_a_report(tmp_path: Path, capsys: Capture) -> None:
    """`run` prints the table, writes report and summary, and its exit code is the verdict."""
    report, summary = tmp_path / "out.json", tmp_path / "summary.json"
    arguments = ["run", ":memory:", "--case", "order.ties"]
    assert main([*arguments, "--report", str(report), "--summary", str(summary)]) == 0
    printed = capsys.readouterr().out
    assert "order.null_first" in printed
    assert "1 pass" in printed
    written = json.loads(report.read_text(encoding="utf-8"))
    assert written["schema"] == 1
    assert (written["passed"], written["complete"], written["tier"]) == (True, False, None)
    assert set(written["versions"]) == {"suite", "core", "dialect", "server", "driver", "python"}
    [case] = written["cases"]
    assert {name: case[name] for name in ("id", "topic", "feature", "since", "outcome")} == {
        "id": "order.ties",
        "topic": "order",
        "feature": "order.null_first",
        "since": "0.1",
        "outcome": "pass",
    }
    assert case["seconds"] >= 0
    [line] = written["features"]
    assert (line["level"], line["outcome"], line["passed"], line["total"]) == ("full", "pass", 1, 1)
    short = json.loads(summary.read_text(encoding="utf-8"))
    assert short == {name: written[name] for name in short}
    assert "cases" not in short
    assert "url" not in short


def test_a_url_alone_means_run(capsys: Capture) -> None:
    """Without a command the first word is the URL of a database to run on."""
    assert main([":memory:", "--case", "order.ties"]) == 0
    assert "1 cases: 1 pass" in capsys.readouterr().out


def test_list_runs_nothing(capsys: Capture) -> None:
    """--list prints ids with feature, version and rule, with `run` and without, and no table."""
    assert main(["--list", "--topic", "paging"]) == 0
    printed = capsys.readouterr().out
    assert "paging.limit_offset  [paging]  since 0.1  " in printed
    assert "tier" not in printed
    assert main(["run", "--list", "--topic", "paging"]) == 0
    assert capsys.readouterr().out == printed


def test_what_cannot_be_run_is_refused(capsys: Capture) -> None:
    """What cannot be run is exit code 2, with the reason and the nearest name."""
    for arguments, said in (
        (["nowhere://host/db", "--case", "order.ties"], "nowhere"),
        ([":memory:", "--case", "order.tie"], "order.ties"),
        (["dif", "a.json", "b.json"], "did you mean 'diff'"),
        (["something"], "neither a command nor the URL"),
        (["diff", "no-such.json", "no-such.json"], "no-such.json"),
        ([":memory:", "--case", "order.ties", "--report", "/no/such/folder/x.json"], "/no/such"),
    ):
        assert main(arguments) == 2, arguments
        assert said in capsys.readouterr().err
    with pytest.raises(SystemExit) as caught:
        main(["run", ":memory:", "-n", "0"])
    assert caught.value.code == 2


@pytest.mark.usefixtures("wrong_order")
def test_a_claim_that_is_not_true_is_exit_code_1(capsys: Capture) -> None:
    """A failing case makes the exit code 1, and is announced at once without --quiet."""
    assert main([":memory:", "--case", "order.of_n"]) == 1
    loud = capsys.readouterr()
    assert "FAIL  order.of_n  (since suite 0.1)" in loud.out
    assert "FAIL: order.of_n" in loud.err
    assert main([":memory:", "--case", "order.of_n", "--quiet"]) == 1
    assert capsys.readouterr().err == ""


def test_repeat_and_seed_change_no_result(capsys: Capture) -> None:
    """Shuffled and repeated cases come in the usual order, once each."""
    assert main([":memory:", "--topic", "paging"]) == 0
    plain = capsys.readouterr().out
    assert main([":memory:", "--topic", "paging", "--seed", "5", "--repeat", "2"]) == 0
    assert capsys.readouterr().out == plain


def test_version_and_help(capsys: Capture) -> None:
    """--version tells suite and core; --help names every command with what it does."""
    assert main(["--version"]) == 0
    assert capsys.readouterr().out.split() == [
        "dataflow-conformance:",
        "suite",
        f"{SUITE},",
        "core",
        __version__,
    ]
    assert main(["--help"]) == 0
    text = capsys.readouterr().out
    assert main([]) == 2
    assert all(f"  {name}" in text for name in COMMANDS)


def test_every_command_has_help(capsys: Capture) -> None:
    """Each command explains its options and says in its docstring what it does."""
    for name, command in COMMANDS.items():
        with pytest.raises(SystemExit) as caught:
            main([name, "--help"])
        assert caught.value.code == 0
        assert f"dataflow-conformance {name}" in capsys.readouterr().out
        assert command.__doc__


def test_the_script_is_declared() -> None:
    """The distribution installs `dataflow-conformance`, the same as the module as a program."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert project["scripts"]["dataflow-conformance"] == "dataflow_core.conformance.command:main"
    result = subprocess.run(
        [sys.executable, "-m", "dataflow_core.conformance", "--version"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    assert f"suite {SUITE}" in result.stdout


def test_parity_prints_a_column_for_each_report(tmp_path: Path, capsys: Capture) -> None:
    """`parity` puts reports and summaries beside each other, feature by feature."""
    full, short = tmp_path / "full.json", tmp_path / "short.json"
    arguments = [":memory:", "--topic", "paging", "--report", str(full), "--summary", str(short)]
    assert main(arguments) == 0
    changed: dict[str, Any] = json.loads(short.read_text(encoding="utf-8"))
    changed["versions"]["server"] = "Other 9.1"
    changed["features"] = [
        {**line, "level": "unsupported", "reason": "no | pages", "outcome": "declined", "passed": 0}
        for line in changed["features"]
    ]
    short.write_text(json.dumps(changed), encoding="utf-8")
    capsys.readouterr()
    assert main(["parity", str(full), str(short), str(full)]) == 0
    printed = capsys.readouterr().out
    assert "| feature | tier | SQLite (1) | Other | SQLite (2) |" in printed
    total = changed["features"][0]["total"]
    cells = f"full, {total}/{total} | unsupported: no \\| pages, 0/{total} | full"
    assert f"| `paging` | core | {cells}" in printed
    assert "| `updates.set` | core | not run | not run | not run |" in printed


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("no json", "holds no JSON"),
        ("[]", "is no report"),
        ('{"schema": 99}', "schema 99"),
        ('{"schema": 1, "versions": {}}', "'complete' is missing"),
    ],
)
def test_a_file_that_is_no_report_is_refused(
    tmp_path: Path, capsys: Capture, text: str, said: str
) -> None:
    """What is no report, or one of another form, is named and refused with exit code 2."""
    path = tmp_path / "odd.json"
    path.write_text(text, encoding="utf-8")
    for command in (["parity", str(path)], ["diff", str(path), str(path)]):
        assert main(command) == 2
        printed = capsys.readouterr().err
        assert said in printed
        assert str(path) in printed


def test_diff_needs_the_cases(tmp_path: Path, capsys: Capture) -> None:
    """A summary is enough for `parity`, but not for `diff`, which says what to give it."""
    path = tmp_path / "summary.json"
    assert main([":memory:", "--case", "order.ties", "--summary", str(path)]) == 0
    assert main(["diff", str(path), str(path)]) == 2
    assert "--report" in capsys.readouterr().err


@pytest.mark.usefixtures("wrong_order")
def test_diff_tells_what_got_worse(
    tmp_path: Path, capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`diff` is exit code 1 where something got worse, and 0 the other way round."""
    bad, good = tmp_path / "bad.json", tmp_path / "good.json"
    arguments = [":memory:", "--case", "order.of_n", "--quiet", "--report"]
    assert main([*arguments, str(bad)]) == 1
    monkeypatch.undo()
    assert main([*arguments, str(good)]) == 0
    capsys.readouterr()
    assert main(["diff", str(good), str(bad)]) == 1
    assert "newly failing (1)\n  order.of_n: pass -> FAIL  WORSE" in capsys.readouterr().out
    assert main(["diff", str(bad), str(good)]) == 0
    assert "newly passing (1)" in capsys.readouterr().out
    assert main(["diff", str(good), str(good)]) == 0
    assert capsys.readouterr().out == "no change\n"


def test_a_choice_without_cases_is_no_success(capsys: Capture) -> None:
    """Where nothing would be run the exit code is 2, and the message says what was asked for."""
    for chosen in (
        ("--feature", "connection.tls"),
        ("--topic", "paging", "--feature", "limits"),
    ):
        assert main(["run", ":memory:", *chosen]) == 2
        assert f"the suite has no case of {chosen[1]}" in capsys.readouterr().err


def test_json_and_regex_are_topics(capsys: Capture) -> None:
    """A topic is a beginning of ids, or what several topics have cases of."""
    listed: dict[str, set[str]] = {}
    for topic in ("json", "regex", "filters", "filters.json"):
        assert main(["--list", "--topic", topic]) == 0
        listed[topic] = {line.partition(" ")[0] for line in capsys.readouterr().out.splitlines()}
    assert {"filters.regex.dot"} <= listed["regex"]
    assert {"types.json.members", "updates.json.push"} & listed["json"]
    assert listed["filters.json"] < listed["filters"]
    assert listed["filters.json"] <= listed["json"]
