"""The wheels of this repository, built once."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.packaging.building import built_wheel, copied, projects


@pytest.fixture(scope="session")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A clean copy of the checkout."""
    return copied(tmp_path_factory.mktemp("source") / "checkout")


@pytest.fixture(scope="session")
def wheels(source: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Import name and wheel of each distribution."""
    return {
        name: built_wheel(source / project, tmp_path_factory.mktemp(name))
        for name, project in projects().items()
    }
