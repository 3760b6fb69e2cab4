"""How fast DataFlow is, beside code written by hand on the driver: ``python -m benchmarks``."""
