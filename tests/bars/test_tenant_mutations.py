"""Every line of the tenant policy is needed: without any one of them a plain test fails."""

from __future__ import annotations

import random
import subprocess
import sys
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Final

import pytest

from tests.bars.mutants import Mutant, mutants_of

ROOT: Final = Path(__file__).resolve().parents[2]
MODULES: Final = (
    "plugins/dataflow_policies/multi_tenant.py",
    "dataflow_core/operations/confine.py",
    "dataflow_core/run/tenancy.py",
)
TESTS: Final = (
    "tests/policies/test_tenant_models.py",
    "tests/policies/test_tenants.py",
    "tests/policies/test_tenant_reads.py",
)
SLICE: Final = 3
AT_ONCE: Final = 2

EQUIVALENT: Final[dict[str, str]] = {
    ": without 'Confined = TypeVar('Confined', bound=Operation)'": "annotations are not evaluated",
    ": 'TypeVar('Confined', bound=Operation)' without 'bound'": "it is for the type checker",
}
"""Mutants that do what the module does -> why."""


def every_mutant() -> list[Mutant]:
    """The mutants of all modules."""
    return [mutant for module in MODULES for mutant in mutants_of(ROOT, module)]


def copy_of(folder: Path, path: str, text: str) -> None:
    """A checkout in ``folder`` that differs from this one in one file."""
    where = path.removeprefix("plugins/")
    for name in ("pyproject.toml", "tests", "benchmarks"):
        (folder / name).symlink_to(ROOT / name)
    packages = [*ROOT.glob("dataflow_*"), *ROOT.glob("plugins/dataflow_*")]
    for package in packages:
        if (package / "__init__.py").exists() and package.name != where.partition("/")[0]:
            (folder / package.name).symlink_to(package)
    source = ROOT / path
    for level in range(where.count("/")):
        below = Path(*Path(where).parts[: level + 1])
        (folder / below).mkdir()
        original = source.parents[where.count("/") - 1 - level]
        for entry in original.iterdir():
            inside = (below / entry.name).as_posix()
            if (
                entry.name != "__pycache__"
                and inside != where
                and not where.startswith(f"{inside}/")
            ):
                (folder / inside).symlink_to(entry)
    (folder / where).write_text(text, encoding="utf-8")


def survivors(folder: Path, mutants: Sequence[Mutant]) -> set[str]:
    """The names of the mutants that no test notices."""
    copies = []
    for number, mutant in enumerate(mutants):
        copies.append(folder / f"mutant {number}")
        copies[-1].mkdir()
        copy_of(copies[-1], mutant.path, mutant.text)
    with ThreadPoolExecutor(AT_ONCE) as pool:
        parts = list(pool.map(ended, (copies[at::AT_ONCE] for at in range(AT_ONCE))))
    codes = {copy: code for part in parts for copy, code in part}
    return {
        mutant.name
        for mutant, copy in zip(mutants, copies, strict=True)
        if codes[copy] == pytest.ExitCode.OK
    }


def ended(copies: Sequence[Path]) -> list[tuple[Path, int]]:
    """How the tests end in each copy."""
    done = subprocess.run(
        [sys.executable, Path(__file__).with_name("mutant_runs.py"), *TESTS],
        input="".join(f"{copy}\n" for copy in copies),
        capture_output=True,
        text=True,
        check=True,
    )
    return list(zip(copies, map(int, done.stdout.split()), strict=True))


@pytest.mark.bars
@pytest.mark.timeout(7_200)
def test_no_line_of_the_policy_can_be_missing(tmp_path: Path, seed: int, full_bars: bool) -> None:
    """Whatever is left out of what confines tenants, a test fails; what it may be is listed."""
    mutants = every_mutant()
    to_try = mutants if full_bars else random.Random(seed).sample(mutants, SLICE)
    alive = survivors(tmp_path, to_try)
    assert alive == {mutant.name for mutant in to_try} & EQUIVALENT.keys()
    print(f"{len(to_try)} of {len(mutants)} mutants tried, {len(alive)} equivalent")


@pytest.mark.timeout(60)
def test_the_module_itself_passes(tmp_path: Path) -> None:
    """Without a change, the tests pass in the copy, so a failure there is the mutant's."""
    path = MODULES[0]
    same = Mutant(path, "same", (ROOT / path).read_text(encoding="utf-8"))
    assert survivors(tmp_path, [same]) == {"same"}


def test_every_exception_is_a_mutant() -> None:
    """What is listed as equivalent is there."""
    assert EQUIVALENT.keys() <= {mutant.name for mutant in every_mutant()}
