"""SQLCipher for DataFlow: SQLite whose files are encrypted, built on the SQLite dialect."""
