"""A server in a container, where docker is there and was asked for."""

from __future__ import annotations

import os
import secrets
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from typing import Final

from dataflow_core.conformance.servers.machine import ServerUnavailable, free_port
from dataflow_core.conformance.servers.process import ServerProcess

__all__ = ["Container", "docker_wanted"]

_TIMEOUT: Final = 600
_PULL_TIMEOUT: Final = 900


def docker_wanted() -> bool:
    """Whether the variable ``DATAFLOW_TEST_DOCKER`` asks for containers."""
    return os.environ.get("DATAFLOW_TEST_DOCKER", "").lower() in ("1", "true", "yes", "on")


class Container:
    """One container, removed when it is closed or the program that started it is gone.

    Parameters:
        name: what it is called in errors and in the container's name.
        image: the image.
        port: the port that the server inside listens on; it gets a free one of 127.0.0.1.
        environment: variables of the container.
        arguments: arguments of the server.

    Attributes:
        port: the port of 127.0.0.1.

    Raises:
        ServerUnavailable: docker is not there or refuses; with what it said.
    """

    def __init__(
        self,
        name: str,
        image: str,
        *,
        port: int,
        environment: Mapping[str, str],
        arguments: Sequence[str] = (),
    ) -> None:
        if shutil.which("docker") is None:
            raise ServerUnavailable("docker is not installed")
        _docker("info")
        self.name = f"dataflow-{name}-{secrets.token_hex(4)}"
        # Starts no process of its own: its guard removes the container when this program is killed.
        self._guarded = ServerProcess(name)
        self._guarded.at_end(["docker", "rm", "--force", "--volumes", self.name])
        # A port of our own choice, so that it is the same after a restart.
        self.port = free_port()
        variables = [part for pair in environment.items() for part in ("-e", "=".join(pair))]
        try:
            _docker(
                *(
                    "run",
                    "--detach",
                    "--name",
                    self.name,
                    "--publish",
                    f"127.0.0.1:{self.port}:{port}",
                ),
                *(*variables, image, *arguments),
                timeout=_PULL_TIMEOUT,
            )
        except ServerUnavailable:
            self.close()
            raise

    def log(self) -> str:
        """The last lines that the server printed."""
        return _docker("logs", "--tail", "25", self.name)

    def kill(self) -> None:
        """Kill the server."""
        _docker("kill", self.name)

    def restart(self) -> None:
        """Start the server again; its data are as it left them."""
        _docker("restart", self.name)

    def close(self) -> None:
        """Remove the container."""
        subprocess.run(  # noqa: S603 - our own container
            ["docker", "rm", "--force", "--volumes", self.name],  # noqa: S607
            capture_output=True,
            check=False,
            timeout=_TIMEOUT,
        )
        self._guarded.close()


def _docker(*arguments: str, timeout: float = _TIMEOUT) -> str:
    try:
        done = subprocess.run(  # noqa: S603 - arguments made here
            ["docker", *arguments],  # noqa: S607 - the one that the user has
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
            timeout=timeout,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise ServerUnavailable(f"docker {arguments[0]}: {error}") from error
    if done.returncode != 0:
        raise ServerUnavailable(f"docker {arguments[0]} failed: {done.stderr.strip()}")
    return done.stdout
