"""``python -m dataflow_core.conformance``: the command ``dataflow-conformance``."""

import sys

from dataflow_core.conformance.command import main

if __name__ == "__main__":
    sys.exit(main())
