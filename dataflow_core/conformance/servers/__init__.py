"""Building blocks of a dialect's test server: processes, ports, accounts, programs, packages.

``DatabaseServer`` is the base of a server that is found or started, as ``dataflow_test_server``
offers it. The parts also serve alone: ``ServerProcess`` runs any server in a private folder and
ends it with the program that started it.
"""

from pathlib import Path as _Path

from dataflow_core.conformance.servers import debian as _debian
from dataflow_core.conformance.servers.docker import Container, docker_wanted
from dataflow_core.conformance.servers.machine import (
    Account,
    ServerUnavailable,
    cache_folder,
    current_user,
    free_port,
    private_folder,
    reachable,
    unprivileged_account,
)
from dataflow_core.conformance.servers.process import ServerProcess
from dataflow_core.conformance.servers.programs import Program, find_program, unpacked_program
from dataflow_core.conformance.servers.server import DatabaseServer, Found, Way, answers
from dataflow_core.conformance.servers.sharing import (
    Desk,
    ServerDesk,
    ServerDeskClient,
    SharedServer,
)
from dataflow_core.conformance.servers.wheels import python_package

__all__ = [
    "Account",
    "Container",
    "DatabaseServer",
    "Desk",
    "Found",
    "Program",
    "ServerDesk",
    "ServerDeskClient",
    "ServerProcess",
    "ServerUnavailable",
    "SharedServer",
    "Way",
    "answers",
    "cache_folder",
    "current_user",
    "debian_unpack",
    "docker_wanted",
    "find_program",
    "free_port",
    "private_folder",
    "python_package",
    "reachable",
    "unpacked_program",
    "unprivileged_account",
]


def debian_unpack(
    *packages: str, suite: str | None = None, account: Account | None = None
) -> _Path:
    """Fetch Debian packages with what they need and unpack them, without installing anything.

    Parameters:
        packages: their names.
        suite: take everything, the C library too, from this suite of the machine's own mirror. By
            default from the machine's release, and only what the machine has not installed.
        account: who must be able to reach the tree.

    Returns:
        The root of the tree, for ``unpacked_program``. It is kept in ``cache_folder()``.

    Raises:
        ServerUnavailable: this is no such machine, or the packages are not to be had.
    """
    try:
        return _debian.unpack(packages, cache_folder(account), suite=suite)
    except (_debian.FetchFailed, OSError) as error:
        raise ServerUnavailable(str(error)) from error
