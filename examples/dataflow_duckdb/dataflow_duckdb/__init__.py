"""DuckDB for DataFlow. The dialect is declared in ``plugin``; importing this loads no driver."""
