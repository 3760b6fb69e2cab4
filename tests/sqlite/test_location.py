from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from dataflow_core.contract import ConnectOptions
from dataflow_core.errors import ConnectionFailed, InvalidOption, InvalidURL, UnknownOption
from dataflow_sqlite.location import Location, locate
from tests.sqlite.support import read_url


def located(url: str, **options: Any) -> Location:
    """What is opened for a URL and options."""
    return locate(read_url(url), ConnectOptions(options=options))


def test_three_slashes_are_relative_and_four_absolute(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A path of three slashes is below the working directory, one of four is absolute."""
    monkeypatch.chdir(tmp_path)
    assert located("sqlite:///a.db").path == tmp_path / "a.db"
    assert located(f"sqlite:///{tmp_path}/b.db").path == tmp_path / "b.db"


@pytest.mark.parametrize("url", [":memory:", "sqlite://", "sqlite:///:memory:", "sqlite:///"])
def test_a_database_in_memory(url: str) -> None:
    """A URL without a path is in memory."""
    assert located(url).path is None


@pytest.mark.parametrize(
    ("url", "suggestion"),
    [
        ("sqlite://a.db", "sqlite:///a.db"),
        ("sqlite://data/a.db", "sqlite:///data/a.db"),
        ("sqlite://localhost:99/a.db", None),
        ("sqlite://ada:secret@host/a.db", None),
    ],
)
def test_a_host_is_refused(url: str, suggestion: str | None) -> None:
    """Two slashes, a port or a user are refused with the forms that work; no secret is shown."""
    with pytest.raises(InvalidURL) as caught:
        located(url)
    assert "four slashes" in str(caught.value)
    assert caught.value.suggestion == suggestion
    assert "secret" not in str(caught.value)


def test_a_missing_folder_is_named(tmp_path: Path) -> None:
    """A missing parent folder is an error that shows the resolved path and the four-slash form."""
    path = tmp_path / "missing" / "a.db"
    with pytest.raises(ConnectionFailed) as caught:
        located(f"sqlite:///{path}")
    assert str(path) in str(caught.value)
    assert "sqlite:////" in str(caught.value)


def test_a_folder_is_no_database(tmp_path: Path) -> None:
    """The path of a folder is refused."""
    with pytest.raises(ConnectionFailed, match="is a folder"):
        located(f"sqlite:///{tmp_path}")


def test_a_file_that_only_may_be_read_must_exist(tmp_path: Path) -> None:
    """mode=ro and mode=rw create nothing."""
    for mode in ("ro", "rw"):
        with pytest.raises(ConnectionFailed, match="does not exist"):
            located(f"sqlite:///{tmp_path}/a.db?mode={mode}")


def test_options_of_the_url_are_options(path: Path) -> None:
    """Options may stand in the URL, in any case; they mean the same as arguments."""
    query = "synchronous=normal&cache_size_mb=8&busy_timeout=1.5&enable_wal=false"
    from_url = located(f"sqlite:///{path}?{query}")
    from_arguments = located(
        f"sqlite:///{path}",
        synchronous="NORMAL",
        cache_size_mb=8,
        busy_timeout=1.5,
        enable_wal=False,
    )
    assert from_url == from_arguments
    assert from_url.synchronous == "NORMAL"
    assert from_url.journal_mode == "DELETE"


def test_the_defaults(path: Path) -> None:
    """A file is in WAL mode; a statement waits for another writer as long as it may take, and
    opening five seconds."""
    plain = located(f"sqlite:///{path}")
    assert (plain.journal_mode, plain.busy_timeout, plain.opening_seconds) == ("WAL", None, 5.0)
    patient = located(f"sqlite:///{path}", busy_timeout=8)
    assert (patient.busy_timeout, patient.opening_seconds) == (8.0, 8.0)


def test_an_unknown_option_names_the_nearest(path: Path) -> None:
    """An option that SQLite does not know is refused with the nearest name."""
    with pytest.raises(UnknownOption) as caught:
        located(f"sqlite:///{path}?syncronous=NORMAL")
    assert caught.value.suggestion == "synchronous"


@pytest.mark.parametrize(
    "options",
    [
        {"journal_mode": "wall"},
        {"synchronous": 1},
        {"cache_size_mb": 0},
        {"cache_size_mb": True},
        {"busy_timeout": -1},
        {"busy_timeout": float("nan")},
        {"enable_wal": "yes"},
        {"mode": "x"},
        {"enable_wal": True, "journal_mode": "DELETE"},
        {"enable_wal": False, "journal_mode": "wal"},
        {"mode": "ro", "journal_mode": "WAL"},
    ],
)
def test_wrong_and_contradicting_options_are_refused(path: Path, options: dict[str, Any]) -> None:
    """A wrong value, and two options that contradict each other, are refused."""
    path.touch()
    with pytest.raises(InvalidOption):
        located(f"sqlite:///{path}", **options)


def test_a_misspelt_word_names_the_nearest(path: Path) -> None:
    """A misspelt journal mode is refused with the nearest one."""
    with pytest.raises(InvalidOption) as caught:
        located(f"sqlite:///{path}", journal_mode="truncat")
    assert caught.value.suggestion == "TRUNCATE"


def test_url_and_argument_may_not_differ(path: Path) -> None:
    """An option given twice with different values is refused, never silently overridden."""
    with pytest.raises(InvalidOption, match="twice"):
        located(f"sqlite:///{path}?synchronous=OFF", synchronous="FULL")
    assert located(f"sqlite:///{path}?synchronous=off", synchronous="OFF").synchronous == "OFF"


@pytest.mark.parametrize("options", [{"enable_wal": True}, {"journal_mode": "MEMORY"}])
def test_a_journal_in_memory_is_refused(options: dict[str, Any]) -> None:
    """What has no effect on a database in memory is refused with the reason."""
    with pytest.raises(InvalidOption, match="no journal file"):
        located(":memory:", **options)
