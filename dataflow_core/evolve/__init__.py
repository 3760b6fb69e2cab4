"""Models against tables: what differs, what may be done about it, and doing it."""
