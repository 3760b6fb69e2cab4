from __future__ import annotations

import subprocess
import sys

from dataflow_postgres.location import _CHECKS
from dataflow_postgres.plugin import dataflow_dialect


def test_declaring_loads_no_driver() -> None:
    """Asking for the declaration imports neither the driver nor TLS."""
    program = (
        "import sys\n"
        "from dataflow_postgres.plugin import dataflow_dialect\n"
        "dataflow_dialect()\n"
        "assert not {'asyncpg', 'ssl', 'asyncio'} & set(sys.modules)\n"
    )
    subprocess.run([sys.executable, "-c", program], check=True)


def test_the_schemes() -> None:
    """Both spellings of the scheme belong to PostgreSQL."""
    assert dataflow_dialect().schemes == ("postgresql", "postgres")


def test_every_declared_option_is_honoured() -> None:
    """What is declared is exactly what is read."""
    assert {option.name for option in dataflow_dialect().options} == set(_CHECKS)
