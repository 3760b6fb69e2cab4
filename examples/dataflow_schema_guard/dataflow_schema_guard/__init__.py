"""A guard of the schema: large tables change at deployments only."""
