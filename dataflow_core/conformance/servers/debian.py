"""Debian packages, fetched and unpacked into a folder: no root, nothing is installed.

Stands alone, so that it also runs as a program::

    python dataflow_core/conformance/servers/debian.py FOLDER PACKAGE...
"""

from __future__ import annotations

import fcntl
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Final

__all__ = ["FetchFailed", "only_one", "unpack"]

_LINES: Final = 12
_TIMEOUT: Final = 600
_SOURCES: Final = Path("/etc/apt")
_STATUS: Final = Path("/var/lib/dpkg/status")
_RELEASE: Final = Path("/etc/os-release")
_ONE_LINE: Final = re.compile(r"deb\s+(?:\[(?P<options>[^]]*)]\s+)?(?P<rest>\S.*)")


class FetchFailed(RuntimeError):
    """The packages cannot be had here; the message says why."""


def unpack(packages: Sequence[str], folder: Path, *, suite: str | None = None) -> Path:
    """Fetch packages with what they need, unpack them, and return the root of the tree.

    What was unpacked once is taken from the folder; removing it fetches anew. Several programs may
    do this at the same time.

    Parameters:
        packages: names of packages.
        folder: where trees are kept.
        suite: take everything, the C library too, from this suite of the machine's own mirror. By
            default from the machine's release, and only what the machine has not installed.

    Raises:
        FetchFailed: this is no such machine, or the packages are not to be had.
    """
    for program in ("apt-get", "dpkg-deb"):
        if shutil.which(program) is None:
            raise FetchFailed(f"this machine has no {program}")
    release = _release()
    tree = folder / "-".join([suite or release.get("VERSION_CODENAME", "release"), *packages])
    if tree.is_dir():
        return tree
    folder.mkdir(parents=True, exist_ok=True)
    with only_one(folder / f".{tree.name}.lock"):
        if not tree.is_dir():
            work = Path(tempfile.mkdtemp(prefix=f".{tree.name}-", dir=folder))
            try:
                _fetch(packages, work, suite, release).rename(tree)
            finally:
                shutil.rmtree(work, ignore_errors=True)
    return tree


@contextmanager
def only_one(path: Path) -> Iterator[None]:
    """Wait until no other program does the same."""
    with path.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def _fetch(packages: Sequence[str], work: Path, suite: str | None, release: dict[str, str]) -> Path:
    for part in ("lists/partial", "cache/archives/partial", "parts", "dpkg", "tree"):
        (work / part).mkdir(parents=True)
    options: dict[str, object] = {
        "Dir::State": work,
        "Dir::State::lists": work / "lists",
        "Dir::State::status": work / "dpkg" / "status",
        "Dir::Cache": work / "cache",
        "Acquire::Languages": "none",
        "APT::Sandbox::User": "root",
        "APT::Update::Error-Mode": "any",
    }
    if suite is not None:
        (work / "parts" / "suite.sources").write_text(_source_of(suite, release), encoding="utf-8")
        options["Dir::Etc::sourcelist"] = "/dev/null"
        options["Dir::Etc::sourceparts"] = work / "parts"
    apt = ["apt-get", "--quiet", "--yes"]
    apt += [part for key, value in options.items() for part in ("-o", f"{key}={value}")]
    (work / "dpkg" / "status").touch()
    _run([*apt, "update"])
    install = [*apt, "--download-only", "--no-install-recommends", "install", *packages]
    archives = _download(install, work, installed=suite is None)
    tree = work / "tree"
    for archive in archives:
        # The loader and the C library belong together: the machine's, or both of the suite.
        if suite is not None or not re.match(r"libc6?(-bin)?_", archive.name):
            _run(["dpkg-deb", "--extract", str(archive), str(tree)])
    # The account that a server runs under is not always the one that unpacked it.
    _run(["chmod", "-R", "a+rX,go-w", str(tree)])
    return tree


def _download(install: Sequence[str], work: Path, *, installed: bool) -> list[Path]:
    """Fetch the archives: those that the machine lacks, or all of them."""
    status = work / "dpkg" / "status"
    if installed and _STATUS.is_file():
        # A copy, because the lock beside the file belongs to root.
        shutil.copyfile(_STATUS, status)
        try:
            _run(install)
        except FetchFailed:
            # What is installed is in disorder, or too old for it: then everything is fetched.
            status.write_text("", encoding="utf-8")
    archives = list((work / "cache" / "archives").glob("*.deb"))
    if not archives:
        status.write_text("", encoding="utf-8")
        _run(install)
        archives = list((work / "cache" / "archives").glob("*.deb"))
    return sorted(archives)


def _run(command: Sequence[str]) -> None:
    environment = {**os.environ, "LC_ALL": "C.UTF-8", "DEBIAN_FRONTEND": "noninteractive"}
    try:
        done = subprocess.run(  # noqa: S603 - the machine's own tools
            command,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            timeout=_TIMEOUT,
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise FetchFailed(f"{command[0]} took longer than {_TIMEOUT} s") from None
    if done.returncode != 0:
        end = "\n".join(done.stdout.splitlines()[-_LINES:])
        raise FetchFailed(f"{command[0]} failed:\n{end}")


def _release() -> dict[str, str]:
    try:
        text = _RELEASE.read_text(encoding="utf-8")
    except OSError:
        return {}
    pairs = (line.partition("=") for line in text.splitlines() if "=" in line)
    return {key: value.strip("\"'") for key, _, value in pairs}


def _source_of(suite: str, release: dict[str, str], sources: Path = _SOURCES) -> str:
    """The machine's own source of packages, with another suite."""
    codename = release.get("VERSION_CODENAME", "")
    if release.get("ID") != "debian":
        raise FetchFailed(f"the suite {suite} is Debian's, and this is not Debian")
    known = {codename, "stable", "testing", "unstable", "sid", "oldstable"} - {""}
    for entry in _entries(sources):
        if known & set(entry["Suites"].split()):
            return "".join(f"{key}: {value}\n" for key, value in {**entry, "Suites": suite}.items())
    raise FetchFailed(f"no source in {sources} names the suite {codename or 'of this machine'}")


def _entries(sources: Path) -> Iterator[dict[str, str]]:
    """The sources of binary packages in both of apt's formats."""
    for file in sorted((sources / "sources.list.d").glob("*.sources")):
        for paragraph in re.split(r"\n\s*\n", file.read_text(encoding="utf-8")):
            entry = _paragraph(paragraph)
            wanted = "deb" in entry.get("Types", "").split() and {"URIs", "Suites"} <= entry.keys()
            if wanted and entry.get("Enabled", "yes").lower() not in ("no", "false"):
                yield {**entry, "Types": "deb"}
    files = [sources / "sources.list", *sorted((sources / "sources.list.d").glob("*.list"))]
    for file in files:
        if file.is_file():
            for line in file.read_text(encoding="utf-8").splitlines():
                match = _ONE_LINE.match(line.strip())
                if match is not None:
                    yield _one_line(match)


def _paragraph(text: str) -> dict[str, str]:
    fields: dict[str, str] = {}
    name = ""
    for line in text.splitlines():
        if line.startswith("#"):
            continue
        if line[:1] in (" ", "\t") and name:
            # A key written out in the file itself goes on over several lines.
            fields[name] += f"\n{line}"
        elif ":" in line:
            name, _, value = line.partition(":")
            fields[name] = value.strip()
    return fields


def _one_line(match: re.Match[str]) -> dict[str, str]:
    address, suite, *components = match["rest"].split("#")[0].split()
    entry = {"Types": "deb", "URIs": address, "Suites": suite}
    if components:
        entry["Components"] = " ".join(components)
    for option in (match["options"] or "").split():
        key, _, value = option.partition("=")
        if key.lower() == "signed-by":
            entry["Signed-By"] = value
    return entry


def main(arguments: Sequence[str]) -> int:
    """Unpack what is named; returns the exit code."""
    try:
        sys.stdout.write(f"{unpack(arguments[1:], Path(arguments[0]).absolute())}\n")
    except FetchFailed as error:
        sys.stderr.write(f"{error}\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
