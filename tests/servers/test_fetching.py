from __future__ import annotations

import subprocess
import sys
import threading
from pathlib import Path

import pytest

from dataflow_core.conformance.servers import debian, debian_unpack, unpacked_program
from dataflow_core.conformance.servers.debian import FetchFailed, unpack
from dataflow_core.conformance.servers.machine import ServerUnavailable
from dataflow_core.conformance.servers.programs import Program, find_program

DEBIAN = {"ID": "debian", "VERSION_CODENAME": "bookworm"}
DEB822 = """\
# the security archive has no other suites
Types: deb
URIs: http://security.example/debian
Suites: bookworm-security
Components: main

Types: deb-src
URIs: http://sources.example/debian
Suites: bookworm

Enabled: no
Types: deb
URIs: http://disabled.example/debian
Suites: bookworm

Types: deb deb-src
URIs: http://mirror.example/debian
Suites: bookworm bookworm-updates
Components: main contrib
Signed-By:
 -----BEGIN PGP PUBLIC KEY BLOCK-----
 .
 abc
"""
ONE_LINE = """\
# deb http://comment.example/debian bookworm main
deb-src http://sources.example/debian bookworm main
deb [arch=amd64 signed-by=/usr/share/key.gpg] http://mirror.example/debian bookworm main # mine
"""


@pytest.fixture
def apt(tmp_path: Path) -> Path:
    """A folder like /etc/apt."""
    (tmp_path / "sources.list.d").mkdir()
    return tmp_path


def test_the_mirror_is_the_machines_own(apt: Path) -> None:
    """Another suite comes from the machine's mirror, with its key; other sources do not count."""
    (apt / "sources.list.d" / "debian.sources").write_text(DEB822)
    source = debian._source_of("unstable", DEBIAN, apt)
    assert source == (
        "Types: deb\nURIs: http://mirror.example/debian\nSuites: unstable\n"
        "Components: main contrib\n"
        "Signed-By: \n -----BEGIN PGP PUBLIC KEY BLOCK-----\n .\n abc\n"
    )


def test_the_older_format_is_read_too(apt: Path) -> None:
    """A line of sources.list counts like a paragraph."""
    (apt / "sources.list").write_text(ONE_LINE)
    source = debian._source_of("unstable", DEBIAN, apt)
    assert source == (
        "Types: deb\nURIs: http://mirror.example/debian\nSuites: unstable\n"
        "Components: main\nSigned-By: /usr/share/key.gpg\n"
    )


def test_another_system_has_no_such_suite(apt: Path) -> None:
    """On a machine that is no Debian, or has no source of its own release, that is said."""
    with pytest.raises(FetchFailed, match="this is not Debian"):
        debian._source_of("unstable", {"ID": "ubuntu"}, apt)
    with pytest.raises(FetchFailed, match="names the suite bookworm"):
        debian._source_of("unstable", DEBIAN, apt)


@pytest.fixture
def tools(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An apt-get that notes its calls and fetches one archive, and a dpkg-deb that unpacks it."""
    folder = tmp_path / "tools"
    folder.mkdir()
    (folder / "apt-get").write_text(
        "#!/bin/sh\n"
        f'echo "$*" >> {folder}/calls\n'
        f"[ ! -e {folder}/fail ] || {{ echo E: no network; exit 100; }}\n"
        'for word in "$@"; do case "$word" in Dir::Cache=*) cache=${word#*=} ;; esac; done\n'
        'case "$*" in *" install "*) touch "$cache/archives/acme_1_all.deb"\n'
        ' touch "$cache/archives/libc6_2_amd64.deb" ;; esac\n'
    )
    (folder / "dpkg-deb").write_text(
        '#!/bin/sh\nmkdir -p "$3/usr/sbin"; touch "$3/usr/sbin/$(basename "$2")"\n'
    )
    for program in folder.iterdir():
        program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{folder}:/usr/bin:/bin")
    return folder


def test_what_was_unpacked_is_kept(tools: Path, tmp_path: Path) -> None:
    """Packages are fetched once, also when several ask at the same time."""
    trees: list[Path] = []
    threads = [
        threading.Thread(target=lambda: trees.append(unpack(["acme"], tmp_path / "kept")))
        for _ in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(trees) == 4
    assert len(set(trees)) == 1
    calls = (tools / "calls").read_text().splitlines()
    assert sum(" update" in call for call in calls) == 1
    assert (trees[0] / "usr/sbin/acme_1_all.deb").exists()
    hidden = {path.name for path in (tmp_path / "kept").iterdir()} - {trees[0].name}
    assert all(name.endswith(".lock") for name in hidden)


def test_the_c_library_of_the_machine_stays(tools: Path, tmp_path: Path) -> None:
    """From the own release the C library is not unpacked: the machine's loader would not fit."""
    tree = unpack(["acme"], tmp_path / "kept")
    assert not (tree / "usr/sbin/libc6_2_amd64.deb").exists()


def test_nothing_of_the_system_is_touched(tools: Path, tmp_path: Path) -> None:
    """Every folder that apt-get writes is a private one."""
    unpack(["acme"], tmp_path / "kept")
    for call in (tools / "calls").read_text().splitlines():
        for option in ("Dir::State=", "Dir::State::lists=", "Dir::State::status=", "Dir::Cache="):
            (value,) = [word for word in call.split() if word.startswith(option)]
            assert value.removeprefix(option).startswith(str(tmp_path))


def test_a_failed_fetch_leaves_nothing(tools: Path, tmp_path: Path) -> None:
    """What apt-get said is told, and the next attempt starts anew."""
    (tools / "fail").touch()
    with pytest.raises(FetchFailed, match="apt-get failed:\nE: no network"):
        unpack(["acme"], tmp_path / "kept")
    assert [path.suffix for path in (tmp_path / "kept").iterdir()] == [".lock"]
    (tools / "fail").unlink()
    assert unpack(["acme"], tmp_path / "kept").is_dir()


def test_no_debian_at_all(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """On a machine without apt-get the way leads nowhere, and says so."""
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setenv("DATAFLOW_TEST_CACHE", str(tmp_path / "kept"))
    with pytest.raises(ServerUnavailable, match="has no apt-get"):
        debian_unpack("acme")


def test_it_runs_as_a_program(tools: Path, tmp_path: Path) -> None:
    """Without any package installed, the module fetches what it is told and prints where it is."""
    command = [sys.executable, "-I", debian.__file__, str(tmp_path / "kept"), "acme"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert Path(done.stdout.strip()).is_dir()
    (tools / "fail").touch()
    done = subprocess.run([*command, "other"], capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert "no network" in done.stderr


def test_a_complete_tree_runs_with_its_own_loader(tmp_path: Path) -> None:
    """A program of a tree that has a loader is started by it, with the libraries of the tree."""
    libraries = tmp_path / "usr/lib/x86_64-linux-gnu"
    libraries.mkdir(parents=True)
    server = tmp_path / "usr/sbin/acmed"
    server.parent.mkdir()
    server.touch()
    found = unpacked_program(tmp_path, "usr/bin/acmed", "usr/sbin/acmed")
    assert found is not None
    assert found.command("-p", 5) == (str(server), "-p", "5")
    assert str(libraries) in found.environment["LD_LIBRARY_PATH"]
    loader = libraries / "ld-linux-x86-64.so.2"
    loader.touch()
    found = unpacked_program(tmp_path, "usr/sbin/acmed")
    assert found is not None
    assert found.command()[:2] == (str(loader), "--library-path")
    assert found.command()[-1] == str(server)
    assert not found.environment
    assert found.beside("acme-init").command()[-1] == str(tmp_path / "usr/sbin/acme-init")
    assert unpacked_program(tmp_path, "usr/sbin/other") is None


def test_the_newest_program_is_found(tmp_path: Path) -> None:
    """Of several versions the highest is taken, by number; a program that is not there is None."""
    for version in ("9.6", "15", "14"):
        path = tmp_path / version / "bin" / "acme-server"
        path.parent.mkdir(parents=True)
        path.touch(mode=0o755)
    pattern = tmp_path / "*" / "bin"
    found = find_program("acme-server", folders=[pattern])
    assert found == Program(tmp_path / "15/bin/acme-server")
    assert find_program("acme-server") is None
