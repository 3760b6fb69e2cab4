"""The statements that read the catalogue: each for any number of tables."""

from __future__ import annotations

from typing import Final

__all__ = [
    "ABOVE_POLICIES",
    "ALL_TABLES",
    "COLUMNS",
    "CONSTRAINTS",
    "INDEXES",
    "NAMED_TABLES",
    "ROLE_ABOVE_POLICIES",
    "TENANT_POLICY",
    "TENANT_SETTING",
]

TENANT_SETTING: Final = "dataflow.tenant_id"
"""The setting of a transaction that holds the tenant in force; empty is none."""
TENANT_POLICY: Final = "dataflow_tenant"
"""The policy of row security that tables of this project have."""
ABOVE_POLICIES: Final = "above policies"
"""What a server's details say of a role that sees all rows, whatever policies say."""
ROLE_ABOVE_POLICIES: Final = (
    "SELECT FROM pg_catalog.pg_roles WHERE rolname = current_user AND (rolsuper OR rolbypassrls)"
)
"""One row where the role is one of these."""

_TABLES: Final = """
SELECT c.oid, c.relname::text,
  CASE WHEN {plain} THEN NULL ELSE n.nspname::text END,
  c.relkind::text,
  pg_catalog.obj_description(c.oid, 'pg_class'),
  CASE WHEN c.relkind = 'p' THEN pg_catalog.pg_get_partkeydef(c.oid) END,
  (SELECT pg_catalog.count(*) FROM pg_catalog.pg_inherits AS i WHERE i.inhparent = c.oid),
  c.relrowsecurity,
  CASE WHEN c.relrowsecurity AND c.relforcerowsecurity AND NOT EXISTS (
    SELECT 1 FROM pg_catalog.pg_inherits AS i
    JOIN pg_catalog.pg_class AS k ON k.oid = i.inhrelid
    WHERE i.inhparent = c.oid AND NOT (
      k.relrowsecurity AND k.relforcerowsecurity AND EXISTS (
        SELECT 1 FROM pg_catalog.pg_policy AS p JOIN pg_catalog.pg_policy AS o
        ON o.polrelid = k.oid AND o.polname = p.polname AND o.polpermissive = p.polpermissive
        AND pg_catalog.pg_get_expr(o.polqual, k.oid) = pg_catalog.pg_get_expr(p.polqual, c.oid)
        WHERE p.polrelid = c.oid AND p.polname = '{policy}'
      )
    )
  ) THEN ARRAY(
    SELECT ARRAY[
      p.polname::text,
      pg_catalog.pg_get_expr(p.polqual, p.polrelid),
      pg_catalog.pg_get_expr(p.polwithcheck, p.polrelid)
    ]
    FROM pg_catalog.pg_policy AS p
    WHERE p.polrelid = c.oid AND p.polpermissive AND p.polcmd = '*' AND p.polroles = '{{0}}'
  ) END,
  ARRAY(
    SELECT i.inhparent::pg_catalog.regclass::text FROM pg_catalog.pg_inherits AS i
    WHERE i.inhrelid = c.oid ORDER BY i.inhseqno
  ),
  ARRAY(
    SELECT t.tgname::text FROM pg_catalog.pg_trigger AS t
    WHERE t.tgrelid = c.oid AND NOT t.tgisinternal ORDER BY t.tgname
  ),
  ARRAY(
    SELECT r.rulename::text FROM pg_catalog.pg_rewrite AS r
    WHERE r.ev_class = c.oid AND r.rulename <> '_RETURN' ORDER BY r.rulename
  )
FROM {source}
WHERE c.relkind IN ('r', 'p', 'v', 'm', 'f') AND {which}
ORDER BY {order}
""".replace("{policy}", TENANT_POLICY)
# The table that the name alone means: the first on the search path. A longer name than PostgreSQL
# keeps means none, though it would be cut.
NAMED_TABLES: Final = _TABLES.format(
    plain="TRUE",
    source=(
        "pg_catalog.unnest($1::text[]) WITH ORDINALITY AS w (name, place)"
        " JOIN pg_catalog.pg_class AS c"
        " ON c.oid = pg_catalog.to_regclass(pg_catalog.quote_ident(w.name))"
        " JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace"
    ),
    which="c.relname = w.name",
    order="w.place",
)
"""The tables and views of some names."""
ALL_TABLES: Final = _TABLES.format(
    plain="pg_catalog.pg_table_is_visible(c.oid)",
    source=("pg_catalog.pg_class AS c JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace"),
    which=(
        "n.nspname !~ '^pg_' AND n.nspname <> 'information_schema'"
        " AND c.relpersistence <> 't' AND NOT c.relispartition"
        " AND NOT EXISTS (SELECT 1 FROM pg_catalog.pg_depend AS d"
        " WHERE d.classid = 'pg_catalog.pg_class'::pg_catalog.regclass AND d.objid = c.oid"
        " AND d.deptype = 'e')"
    ),
    order="3 NULLS FIRST, 2",
)
"""All tables and views but the server's own, those of extensions, temporary ones, partitions."""

# A column of a domain has the type below, and what the domains on the way demand.
COLUMNS: Final = """
WITH RECURSIVE "domains" (start, base, modifier, required, literal, name) AS (
  SELECT t.oid, t.typbasetype, t.typtypmod, t.typnotnull, t.typdefault,
    pg_catalog.format_type(t.oid, NULL)
  FROM pg_catalog.pg_type AS t WHERE t.typtype = 'd'
  UNION ALL
  SELECT d.start, t.typbasetype, t.typtypmod, d.required OR t.typnotnull,
    COALESCE(d.literal, t.typdefault), d.name
  FROM "domains" AS d JOIN pg_catalog.pg_type AS t ON t.oid = d.base WHERE t.typtype = 'd'
), "bases" AS (
  SELECT d.* FROM "domains" AS d JOIN pg_catalog.pg_type AS t ON t.oid = d.base
  WHERE t.typtype <> 'd'
), "here" AS (
  SELECT COALESCE(o.it ->> 'datlocprovider', 'c') AS provider,
    COALESCE(o.it ->> 'datlocale', o.it ->> 'daticulocale', o.it ->> 'datcollate') AS locale
  FROM (
    SELECT pg_catalog.to_jsonb(d) AS it FROM pg_catalog.pg_database AS d
    WHERE d.datname = pg_catalog.current_database()
  ) AS o
)
SELECT a.attrelid, a.attnum, a.attname::text,
  pg_catalog.format_type(a.atttypid, a.atttypmod),
  pg_catalog.format_type(
    t.oid, CASE WHEN b.base IS NULL THEN a.atttypmod ELSE b.modifier END
  ),
  b.name,
  ARRAY(
    SELECT e.enumlabel::text FROM pg_catalog.pg_enum AS e
    WHERE e.enumtypid = t.oid ORDER BY e.enumsortorder
  ),
  a.attnotnull OR COALESCE(b.required, FALSE),
  COALESCE(pg_catalog.pg_get_expr(d.adbin, d.adrelid), b.literal),
  a.attidentity::text,
  a.attgenerated::text,
  d.adbin IS NOT NULL AND pg_catalog.pg_get_expr(d.adbin, d.adrelid) LIKE 'nextval(%'
    AND pg_catalog.pg_get_serial_sequence(
      a.attrelid::pg_catalog.regclass::text, a.attname::text
    ) IS NULL,
  CASE WHEN k.collprovider = 'd' THEN h.locale ELSE k.collname::text END,
  CASE k.collprovider
    WHEN 'd' THEN h.provider = 'b' OR (h.provider = 'c' AND h.locale ~ {code_points})
    WHEN 'c' THEN k.collcollate ~ {code_points}
    ELSE k.collprovider = 'b'
  END,
  k.collisdeterministic,
  pg_catalog.col_description(a.attrelid, a.attnum)
FROM pg_catalog.pg_attribute AS a
LEFT JOIN "bases" AS b ON b.start = a.atttypid
JOIN pg_catalog.pg_type AS t ON t.oid = COALESCE(b.base, a.atttypid)
LEFT JOIN pg_catalog.pg_attrdef AS d ON d.adrelid = a.attrelid AND d.adnum = a.attnum
LEFT JOIN pg_catalog.pg_collation AS k ON k.oid = a.attcollation
CROSS JOIN "here" AS h
WHERE a.attrelid = ANY ($1::oid[]) AND a.attnum > 0 AND NOT a.attisdropped
ORDER BY a.attrelid, a.attnum
""".replace("{code_points}", r"'^(C|POSIX|C\.(utf|UTF)-?8)$'")
"""The columns of tables."""

CONSTRAINTS: Final = """
SELECT c.conrelid, c.conname::text, c.contype::text, c.conkey, c.confkey,
  f.relname::text,
  CASE WHEN pg_catalog.pg_table_is_visible(f.oid) THEN NULL ELSE n.nspname::text END,
  ARRAY(
    SELECT a.attname::text FROM pg_catalog.unnest(c.confkey) WITH ORDINALITY AS p (number, place)
    JOIN pg_catalog.pg_attribute AS a ON a.attrelid = c.confrelid AND a.attnum = p.number
    ORDER BY p.place
  ),
  c.confdeltype::text, c.confupdtype::text,
  pg_catalog.pg_get_expr(c.conbin, c.conrelid),
  pg_catalog.pg_get_constraintdef(c.oid),
  c.convalidated, c.condeferrable, c.conislocal
FROM pg_catalog.pg_constraint AS c
LEFT JOIN pg_catalog.pg_class AS f ON f.oid = c.confrelid
LEFT JOIN pg_catalog.pg_namespace AS n ON n.oid = f.relnamespace
WHERE c.conrelid = ANY ($1::oid[]) AND c.contype IN ('c', 'f', 'p', 'u', 'x')
  AND (c.contype <> 'f' OR c.conparentid = 0)
ORDER BY c.conrelid, c.oid
"""
"""The constraints of tables, in the order in which they were made.

A foreign key to a table in parts has one more to each part, which are left out."""

INDEXES: Final = """
SELECT i.indrelid, c.relname::text, m.amname::text, i.indisunique, i.indisvalid,
  i.indnkeyatts, i.indkey::int2[], i.indoption::int2[],
  ARRAY(
    SELECT pg_catalog.pg_get_indexdef(i.indexrelid, p.place, TRUE)
    FROM pg_catalog.generate_series(1, i.indnatts::int4) AS p (place) ORDER BY p.place
  ),
  pg_catalog.pg_get_expr(i.indpred, i.indrelid),
  EXISTS (
    SELECT 1 FROM pg_catalog.pg_constraint AS o
    WHERE o.conindid = i.indexrelid AND o.conrelid = i.indrelid AND o.contype = 'u'
  ),
  EXISTS (
    SELECT 1 FROM pg_catalog.unnest(i.indclass::oid[]) AS k (number)
    JOIN pg_catalog.pg_opclass AS o ON o.oid = k.number WHERE NOT o.opcdefault
  ),
  COALESCE(pg_catalog.to_jsonb(i) ->> 'indnullsnotdistinct', 'false') = 'true'
FROM pg_catalog.pg_index AS i
JOIN pg_catalog.pg_class AS c ON c.oid = i.indexrelid
JOIN pg_catalog.pg_am AS m ON m.oid = c.relam
WHERE i.indrelid = ANY ($1::oid[]) AND NOT i.indisprimary AND NOT i.indisexclusion
ORDER BY i.indrelid, c.oid
"""
"""The indexes of tables, but those of primary keys and exclusions."""
