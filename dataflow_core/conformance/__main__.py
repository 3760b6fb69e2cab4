"""``python -m dataflow_core.conformance URL``."""

import sys

from dataflow_core.conformance.command import main

if __name__ == "__main__":
    sys.exit(main())
