"""What SQLite keeps of its schema: the queries of its catalogue, and what a change asks of it."""

from __future__ import annotations

from typing import Final

__all__ = [
    "BROKEN_REFERENCES",
    "COLUMNS",
    "FOREIGN_KEYS",
    "INDEXES",
    "KEEP_COUNTER",
    "OBJECTS",
    "REFUSE_IF_REFERRED",
    "SHADOWS",
]

OBJECTS: Final = (
    "SELECT type, name, tbl_name, sql FROM main.sqlite_master"
    " WHERE name NOT LIKE 'sqlite|_%' ESCAPE '|'"
)
"""Tables, views, indexes and triggers; without those that SQLite makes by itself."""
SHADOWS: Final = "SELECT name FROM pragma_table_list WHERE schema = 'main' AND type = 'shadow'"
"""Tables in which virtual ones keep what they hold; from SQLite 3.37."""
_EACH: Final = "(SELECT value AS of_table FROM json_each(?))"
COLUMNS: Final = (
    'SELECT of_table, c.name, c.type, c."notnull", c.dflt_value, c.pk, c.hidden'
    f" FROM {_EACH}, pragma_table_xinfo(of_table, 'main') AS c ORDER BY c.cid"
)
INDEXES: Final = (
    'SELECT of_table, i.name, i."unique", i.origin, i.partial, c.cid, c.name, c."desc", c.coll'
    f" FROM {_EACH}, pragma_index_list(of_table, 'main') AS i,"
    " pragma_index_xinfo(i.name, 'main') AS c WHERE c.key ORDER BY i.seq DESC, c.seqno"
)
_IS_TARGET: Final = 'i.name = f."to" COLLATE NOCASE OR (f."to" IS NULL AND i.pk = f.seq + 1)'
FOREIGN_KEYS: Final = (
    'SELECT of_table, f.id, f."from", COALESCE((SELECT name FROM main.sqlite_master WHERE type ='
    ' \'table\' AND name = f."table" COLLATE NOCASE), f."table"), COALESCE((SELECT i.name FROM'
    f' pragma_table_info(f."table", \'main\') AS i WHERE {_IS_TARGET}), f."to"),'
    " f.on_delete, f.on_update"
    f" FROM {_EACH}, pragma_foreign_key_list(of_table, 'main') AS f ORDER BY f.id DESC, f.seq"
)
REFUSE_IF_REFERRED: Final = (
    "SELECT dataflow_refuse({reason}) FROM pragma_foreign_keys WHERE foreign_keys AND EXISTS"
    " (SELECT 1 FROM main.sqlite_master AS m, pragma_foreign_key_list(m.name, 'main') AS k"
    " WHERE m.type = 'table' AND k.\"table\" = {table} COLLATE NOCASE)"
)
"""Fails where DROP TABLE would delete or change the rows that refer to a table."""
BROKEN_REFERENCES: Final = (
    "SELECT dataflow_refuse({reason}) FROM pragma_foreign_key_check"
    ' WHERE "table" = {table} COLLATE NOCASE OR parent = {table} COLLATE NOCASE'
)
"""Fails where rows of a table, or rows that refer to it, refer to nothing."""
KEEP_COUNTER: Final = (
    "INSERT INTO sqlite_sequence (name, seq) SELECT {new}, 0"
    " WHERE NOT EXISTS (SELECT 1 FROM sqlite_sequence WHERE name = {new})",
    "UPDATE sqlite_sequence SET seq = (SELECT max(seq) FROM sqlite_sequence"
    " WHERE name = {new} OR name = {table} COLLATE NOCASE) WHERE name = {new}",
)
"""Let the counter of a new table go on from that of the one before it."""
