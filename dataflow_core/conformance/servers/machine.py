"""What the machine gives a throwaway server: an account to run under, a free port, folders."""

from __future__ import annotations

import getpass
import os
import random
import socket
import stat
import tempfile
from pathlib import Path
from typing import Final

from attrs import frozen

__all__ = [
    "Account",
    "ServerUnavailable",
    "cache_folder",
    "current_user",
    "free_port",
    "private_folder",
    "reachable",
    "unprivileged_account",
]

# Below the ports that systems hand to outgoing connections: a client can take one of those between
# the look and the server's start, and one that is left by a killed server may connect to itself.
_PORTS: Final = range(15_000, 32_000)
_TRIES: Final = 200
# The path of a socket in a private folder has to fit into 107 bytes.
_LONGEST_PLACE: Final = 40


class ServerUnavailable(RuntimeError):
    """No server could be found or started; the message says what was tried and how to get one."""


@frozen
class Account:
    """An account of this machine that a server runs under."""

    name: str
    uid: int
    gid: int


def current_user() -> str:
    """The name of the user, or its number where it has no name."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return str(os.getuid())


def unprivileged_account(*preferred: str) -> Account | None:
    """The account that a server is to run under, or ``None`` for the own one.

    Servers refuse to run as root, so for root it is the first existing one of ``preferred`` and
    ``nobody``; an account is never made.

    Parameters:
        preferred: names of accounts, best first.

    Raises:
        ServerUnavailable: this is root, and none of the accounts exists.
    """
    if os.getuid() != 0:
        return None
    import pwd

    for name in (*preferred, "nobody"):
        try:
            entry = pwd.getpwnam(name)
        except KeyError:
            continue
        return Account(entry.pw_name, entry.pw_uid, entry.pw_gid)
    names = ", ".join((*preferred, "nobody"))
    raise ServerUnavailable(f"a server does not run as root, and no account is called {names}")


def free_port(host: str = "127.0.0.1") -> int:
    """A random port of the host on which nothing listens.

    Another program can still take it before the server does; the server then does not start.

    Raises:
        ServerUnavailable: no free port was found.
    """
    # Not the module's own generator: tests seed that, and would all draw the same port.
    draw = random.SystemRandom()
    for _ in range(_TRIES):
        port = draw.choice(_PORTS)
        with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET) as probe:
            try:
                probe.bind((host, port))
            except OSError:
                continue
            return port
    raise ServerUnavailable(f"no free port on {host} between {_PORTS.start} and {_PORTS.stop}")


def reachable(path: Path, account: Account | None) -> bool:
    """Whether the account may enter every folder above the path and read it."""
    if account is None:
        return os.access(path, os.R_OK)
    resolved = path.resolve()
    try:
        return all(
            _may(place.stat(), account, reading=place == resolved)
            for place in (resolved, *resolved.parents)
        )
    except OSError:
        return False


def _may(status: os.stat_result, account: Account, *, reading: bool) -> bool:
    """Whether the account may enter a folder, and read it or the file that is looked at last."""
    if status.st_uid == account.uid:
        enter, read = stat.S_IXUSR, stat.S_IRUSR
    elif status.st_gid == account.gid:
        enter, read = stat.S_IXGRP, stat.S_IRGRP
    else:
        enter, read = stat.S_IXOTH, stat.S_IROTH
    needed = (enter if stat.S_ISDIR(status.st_mode) else 0) | (read if reading else 0)
    return status.st_mode & needed == needed


def private_folder(name: str, account: Account | None = None) -> Path:
    """A new folder that only the account may enter, with a path that is short enough for a socket.

    Parameters:
        name: what its name begins with.
        account: whose it is; ``None`` for the own one.
    """
    place = Path(tempfile.gettempdir())
    if len(os.fsencode(place)) > _LONGEST_PLACE or not reachable(place, account):
        place = Path("/tmp")  # noqa: S108 - `mkdtemp` makes a private folder in it
    folder = Path(tempfile.mkdtemp(prefix=f"dataflow-{name[:16]}-", dir=place))
    if account is not None:
        os.chown(folder, account.uid, account.gid)
    return folder


def cache_folder(account: Account | None = None) -> Path:
    """Where fetched servers are kept: ``DATAFLOW_TEST_CACHE``, or a folder of the user's cache.

    Parameters:
        account: who must be able to reach the folder; where it cannot reach those two, it is a
            folder below the temporary one.

    Raises:
        ServerUnavailable: the folder belongs to somebody else, who could put programs there.
    """
    given = os.environ.get("DATAFLOW_TEST_CACHE")
    if given:
        wanted = Path(given).absolute()
    else:
        user = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
        wanted = Path(user).absolute() / "dataflow" / "servers"
    for folder in (wanted, Path(tempfile.gettempdir()) / f"dataflow-servers-{os.getuid()}"):
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError:
            continue
        if not os.access(folder, os.W_OK) or not reachable(folder, account):
            continue
        status = folder.lstat()
        if status.st_uid not in (os.getuid(), 0) or status.st_mode & stat.S_IWOTH:
            raise ServerUnavailable(f"others may put programs into {folder}")
        return folder
    raise ServerUnavailable(f"{wanted} cannot be written; name a folder in DATAFLOW_TEST_CACHE")
