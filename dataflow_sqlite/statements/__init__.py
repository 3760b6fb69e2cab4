"""The statements that SQLite keeps, taken apart: what stands nowhere but in their texts."""
