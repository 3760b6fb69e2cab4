"""The SQL functions and aggregates that SQLite lacks, in Python; connections register them."""
