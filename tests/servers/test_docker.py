from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from dataflow_core.conformance.servers import Container, ServerUnavailable, docker_wanted
from tests.servers.support import soon

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def docker(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A program called docker that notes its calls; it fails when told so."""
    program = tmp_path / "docker"
    program.write_text(
        f'#!/bin/sh\necho "$*" >> {tmp_path}/calls\n'
        f'[ ! -e {tmp_path}/fail-"$1" ] || {{ echo no daemon >&2; exit 1; }}\n'
        '[ "$1" != logs ] || echo ready\n'
    )
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    return tmp_path


def calls(docker: Path) -> list[str]:
    """What docker was called with."""
    return (docker / "calls").read_text().splitlines()


def test_a_container_lives_as_long_as_it_is_used(docker: Path) -> None:
    """A container listens on a port of this machine only, can be killed, and is removed."""
    container = Container("acme", "acme:7", port=99, environment={"KEY": "a b"}, arguments=["-x"])
    run = calls(docker)[1]
    assert run.startswith(f"run --detach --name {container.name}")
    assert f"--publish 127.0.0.1:{container.port}:99 -e KEY=a b acme:7 -x" in run
    assert container.log() == "ready\n"
    port = container.port
    container.kill()
    container.restart()
    assert container.port == port
    container.close()
    assert calls(docker)[-1] == f"rm --force --volumes {container.name}"


@pytest.mark.parametrize("step", ["info", "run"])
def test_a_refusal_is_told(docker: Path, step: str) -> None:
    """What docker says is the reason."""
    (docker / f"fail-{step}").touch()
    with pytest.raises(ServerUnavailable, match=f"docker {step} failed: no daemon"):
        Container("acme", "acme:7", port=99, environment={})


def test_without_docker(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """That it is not installed is the reason."""
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(ServerUnavailable, match="not installed"):
        Container("acme", "acme:7", port=99, environment={})


def test_a_container_ends_with_its_program(docker: Path) -> None:
    """A program that is killed leaves no container behind."""
    program = (
        "import os; from dataflow_core.conformance.servers import Container;"
        "Container('acme', 'acme:7', port=99, environment={}); os.kill(os.getpid(), 9)"
    )
    subprocess.run([sys.executable, "-c", program], cwd=ROOT, check=False)
    assert soon(lambda: calls(docker)[-1].startswith("rm --force --volumes dataflow-acme-"))


def test_containers_are_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without the variable no container is used, though docker is there."""
    monkeypatch.delenv("DATAFLOW_TEST_DOCKER", raising=False)
    assert not docker_wanted()
    monkeypatch.setenv("DATAFLOW_TEST_DOCKER", "1")
    assert docker_wanted()
