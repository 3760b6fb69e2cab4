from __future__ import annotations

import os
import socket
import tempfile
from pathlib import Path

import pytest

from dataflow_core.conformance.servers import (
    Account,
    ServerUnavailable,
    cache_folder,
    free_port,
    private_folder,
    reachable,
    unprivileged_account,
)

STRANGER = Account("stranger", 54_321, 54_321)


def test_a_free_port_is_free() -> None:
    """Ports differ, can be bound, and are none that outgoing connections get."""
    ports = {free_port() for _ in range(20)}
    assert len(ports) > 10
    assert all(15_000 <= port < 32_000 for port in ports)
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", ports.pop()))


def test_no_free_port_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where every port is taken, that is said."""
    monkeypatch.setattr("dataflow_core.conformance.servers.machine._TRIES", 0)
    with pytest.raises(ServerUnavailable, match="no free port"):
        free_port()


def test_root_takes_another_account(monkeypatch: pytest.MonkeyPatch) -> None:
    """For root it is the first account that exists, of those preferred and nobody."""
    monkeypatch.setattr(os, "getuid", lambda: 0)
    account = unprivileged_account("no-such-account")
    assert account is not None
    assert account.name == "nobody"
    assert account.uid != 0


def test_a_user_keeps_the_own_account(monkeypatch: pytest.MonkeyPatch) -> None:
    """For an ordinary user there is nothing to change."""
    monkeypatch.setattr(os, "getuid", lambda: 1_000)
    assert unprivileged_account("nobody") is None


def test_no_account_at_all(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without any account for it, root is told which ones were looked for."""

    def none(name: str) -> object:
        raise KeyError(name)

    monkeypatch.setattr(os, "getuid", lambda: 0)
    monkeypatch.setattr("pwd.getpwnam", none)
    with pytest.raises(ServerUnavailable, match="somebody, nobody"):
        unprivileged_account("somebody")


def test_what_an_account_can_reach() -> None:
    """A file is reachable if each folder above it may be entered by the account."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        file = folder / "file"
        file.touch(mode=0o644)
        folder.chmod(0o755)
        assert reachable(file, STRANGER)
        folder.chmod(0o700)
        assert not reachable(file, STRANGER)
        assert reachable(file, Account("owner", os.getuid(), os.getgid()))
        assert not reachable(folder / "missing", STRANGER)


def test_a_private_folder_has_room_for_a_socket(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where the temporary folder has a long path, another one is taken."""
    deep = tmp_path / ("x" * 90)
    deep.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(deep))
    folder = private_folder("a-server-with-a-long-name")
    try:
        assert len(os.fsencode(folder / ".s.SERVER.12345.lock")) < 104
    finally:
        folder.rmdir()


def test_fetched_servers_are_kept_where_they_are_wanted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The variable names the folder; without it, it is one of the user's cache."""
    monkeypatch.setenv("DATAFLOW_TEST_CACHE", str(tmp_path / "given"))
    assert cache_folder() == tmp_path / "given"
    monkeypatch.delenv("DATAFLOW_TEST_CACHE")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "home"))
    assert cache_folder() == tmp_path / "home" / "dataflow" / "servers"


def test_fetched_servers_are_kept_where_the_account_can_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where the account cannot reach that folder, one below the temporary folder is taken."""
    tmp_path.chmod(0o700)
    monkeypatch.setenv("DATAFLOW_TEST_CACHE", str(tmp_path / "given"))
    with tempfile.TemporaryDirectory(dir="/tmp") as name:
        Path(name).chmod(0o755)
        monkeypatch.setattr(tempfile, "tempdir", name)
        assert cache_folder(STRANGER).parent == Path(name)


def test_a_folder_that_others_can_write_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nobody else can put programs where servers are taken from."""
    tmp_path.chmod(0o777)
    monkeypatch.setenv("DATAFLOW_TEST_CACHE", str(tmp_path))
    with pytest.raises(ServerUnavailable, match="others may put programs into"):
        cache_folder()
