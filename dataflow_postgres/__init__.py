"""PostgreSQL for DataFlow, declared in ``plugin``; importing this loads no driver."""
