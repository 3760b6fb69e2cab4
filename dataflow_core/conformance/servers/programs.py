"""Programs of servers: those of the system, and those of an unpacked tree."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterable, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Final

from attrs import field, frozen

__all__ = ["Program", "find_program", "unpacked_program"]

# Servers often stand where an ordinary user's PATH does not lead.
_SYSTEM_FOLDERS: Final = (
    "/usr/local/sbin",
    "/usr/local/bin",
    "/usr/sbin",
    "/usr/bin",
    "/sbin",
    "/bin",
    "/opt/homebrew/bin",
)


def _frozen_mapping(values: Mapping[str, str]) -> Mapping[str, str]:
    return MappingProxyType(dict(values))


@frozen
class Program:
    """An executable file and what it takes to run it.

    Attributes:
        path: the file.
        loader: what precedes it on the command line: the dynamic loader of its own tree.
        environment: variables that it needs.
        tree: the root of the unpacked tree that it belongs to; ``None`` for one of the system.
    """

    path: Path
    loader: tuple[str, ...] = ()
    environment: Mapping[str, str] = field(factory=dict, converter=_frozen_mapping, hash=False)
    tree: Path | None = None

    def command(self, *arguments: object) -> tuple[str, ...]:
        """The command line with these arguments."""
        return (*self.loader, str(self.path), *map(str, arguments))

    def beside(self, name: str) -> Program:
        """Another program of the same folder, run in the same way."""
        return Program(self.path.with_name(name), self.loader, self.environment, self.tree)


def find_program(*names: str, folders: Iterable[str | Path] = ()) -> Program | None:
    """The first program that the machine has, or ``None``.

    Parameters:
        names: what it may be called, best first.
        folders: where to look first, best first; ``*`` stands for any text, and of the folders that
            fit the one with the highest number comes first.
    """
    places = [place for folder in folders for place in _matching(Path(folder))]
    path = os.pathsep.join([*map(str, places), os.environ.get("PATH", ""), *_SYSTEM_FOLDERS])
    for name in names:
        found = shutil.which(name, path=path)
        if found is not None:
            return Program(Path(found))
    return None


def unpacked_program(tree: Path, *patterns: str) -> Program | None:
    """A program of an unpacked tree that matches the first fitting pattern, or ``None``.

    A tree with a dynamic loader is complete: the program runs with that loader and the tree's
    libraries alone. Otherwise the system's libraries are used where the tree has none.

    Parameters:
        tree: the root of the tree.
        patterns: paths below the root; ``*`` stands for any text of one step.
    """
    libraries = [
        str(folder)
        for pattern in ("usr/lib/*-linux-*", "lib/*-linux-*", "usr/lib64", "usr/lib", "lib")
        for folder in sorted(tree.glob(pattern))
        if folder.is_dir()
    ]
    joined = os.pathsep.join(libraries)
    loaders = sorted(tree.glob("usr/lib/*/ld-linux*.so.*")) or sorted(tree.glob("lib/*/ld-linux*"))
    for pattern in patterns:
        for path in _matching(tree / pattern):
            if loaders:
                return Program(path, (str(loaders[0]), "--library-path", joined), {}, tree)
            return Program(path, (), {"LD_LIBRARY_PATH": joined}, tree)
    return None


def _matching(pattern: Path) -> list[Path]:
    """The existing paths that match, the highest number first."""
    parts = pattern.parts
    fixed = next((index for index, part in enumerate(parts) if "*" in part), None)
    if fixed is None:
        return [pattern] if pattern.exists() else []
    found = Path(*parts[:fixed]).glob("/".join(parts[fixed:]))
    return sorted(found, key=_numbers, reverse=True)


def _numbers(path: Path) -> tuple[tuple[int, ...], str]:
    digits = "".join(letter if letter.isdigit() else " " for letter in str(path))
    return tuple(map(int, digits.split())), str(path)
