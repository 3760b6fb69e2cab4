from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from dataflow_core import DataFlow
from dataflow_core.errors import DataFlowError, InvalidOption, InvalidURL, UnknownOption

POSTGRES = "postgresql://ada@db.example/shop"
MYSQL = "mysql://ada@db.example/shop"

REFUSED: list[tuple[str, dict[str, Any], type[DataFlowError], str]] = [
    (POSTGRES, {"sslmode": "perhaps"}, InvalidOption, "sslmode"),
    (f"{POSTGRES}?sslmod=require", {}, UnknownOption, "sslmode"),
    ("postgresql://ada@db.example", {}, InvalidURL, "database"),
    (POSTGRES, {"read_replica": f"{POSTGRES}?sslmod=require"}, UnknownOption, "sslmode"),
    (POSTGRES, {"read_replica": MYSQL}, InvalidOption, "same kind of URL"),
    (POSTGRES, {"later_db": f"{MYSQL}?charset=latin1"}, InvalidOption, "utf8mb4"),
    (MYSQL, {"charset": "latin1"}, InvalidOption, "utf8mb4"),
    (MYSQL, {"ssl_mode": "perhaps"}, InvalidOption, "ssl_mode"),
    (f"{MYSQL}?ssl-mod=required", {}, UnknownOption, "ssl_mode"),
    ("mysql://ada@db.example", {}, InvalidURL, "database"),
    (":memory:", {"enable_wal": True}, InvalidOption, "no effect"),
    ("sqlite:///a.db?journal_mod=WAL", {}, UnknownOption, "journal_mode"),
    ("sqlite:///a.db?mode=everything", {}, InvalidOption, "mode"),
]


@pytest.mark.parametrize(("url", "options", "kind", "told"), REFUSED)
def test_what_cannot_be_right_is_refused(
    url: str, options: dict[str, Any], kind: type[DataFlowError], told: str
) -> None:
    """A URL or an option that cannot be right is refused when the instance is made, whichever of
    its databases it belongs to."""
    with pytest.raises(kind, match=told):
        DataFlow(url, **options)


def test_a_file_may_be_made_later(tmp_path: Path) -> None:
    """Files and folders of a database need not be there before it is used."""
    db = DataFlow(f"sqlite:///{tmp_path}/later/a.db")
    (tmp_path / "later").mkdir()
    assert db.run_sync("SQLNode", sql="SELECT 1 AS one")["records"] == [{"one": 1}]
    db.close()


def test_checking_loads_no_driver() -> None:
    """An instance is checked and made without any driver."""
    program = (
        "import sys\n"
        "from dataflow_core import DataFlow\n"
        f"DataFlow({POSTGRES!r}, read_replica={POSTGRES!r}, later_db={MYSQL!r})\n"
        "assert not {'asyncpg', 'aiomysql', 'pymysql', 'aiosqlite'} & set(sys.modules)\n"
    )
    subprocess.run([sys.executable, "-c", program], check=True)
