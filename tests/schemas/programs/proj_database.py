"""PROJ's database of coordinate systems, as pyproj carries it: rows are there already."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path
from urllib.parse import unquote, urlsplit

from pyproj.datadir import get_data_dir


def main(url: str) -> None:
    """Copy the file."""
    shutil.copyfile(Path(get_data_dir()) / "proj.db", unquote(urlsplit(url).path.removeprefix("/")))


if __name__ == "__main__":
    main(sys.argv[1])
