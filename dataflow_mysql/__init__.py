"""MySQL and MariaDB for DataFlow, declared in ``plugin``; importing this loads no driver."""
