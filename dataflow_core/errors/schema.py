"""DF-3xx: the tables of the database and what the models expect of them."""

from __future__ import annotations

from dataflow_core.errors.base import DataFlowError, Solution


class SchemaError(DataFlowError):
    """The tables of the database do not fit the models."""

    title = "Schema"


class TableMissing(SchemaError):
    """The table of a model does not exist and may not be made."""

    code = "DF-301"
    title = "A table is missing"
    causes: tuple[str, ...] = (
        "The instance works on an existing schema, so it makes no tables.",
        "The table has another name than the model's plural.",
        "The URL leads to another database than intended.",
    )
    solutions: tuple[Solution, ...] = (
        Solution("Let DataFlow make missing tables.", "db = DataFlow(auto_migrate=True)"),
        Solution("Name the table.", 'class User:\n    __tablename__ = "app_users"\n    name: str'),
    )


class SchemaMismatch(SchemaError):
    """A table differs from its model in a way that would give wrong results."""

    code = "DF-302"
    title = "A table differs from its model"
    causes: tuple[str, ...] = (
        "A column is missing or has another type than the field.",
        "The table was changed by something else than DataFlow.",
    )
    solutions: tuple[Solution, ...] = (
        Solution(
            "Look at what the database has.",
            'print(db.discover_schema()["users"]["columns"])',
        ),
        Solution(
            "Take the models from the tables.", 'db.register_schema_as_models(tables=["users"])'
        ),
    )


class SchemaChangeRefused(SchemaError):
    """A change of the schema was needed that may lose data or is not allowed."""

    code = "DF-303"
    title = "A change of the schema is refused"
    causes: tuple[str, ...] = (
        "A field was removed, or its type became narrower: rows could lose values.",
        "The instance works on an existing schema.",
    )
    solutions: tuple[Solution, ...] = (
        Solution(
            "Say that the field was renamed, so that its values are kept.",
            'class User:\n    full_name: str = field(renamed_from="name")',
        ),
        Solution("Keep the field, optional.", "class User:\n    nickname: str | None = None"),
    )


class RegistryConflict(SchemaError):
    """The registry has another shape of a model, and it is not this instance's to change."""

    code = "DF-304"
    title = "A model is registered in another shape"
    causes: tuple[str, ...] = (
        "Another process has registered a model of this name for another table.",
        "A file of models was written before the registry changed.",
    )
    solutions: tuple[Solution, ...] = (
        Solution(
            "Take the model as it is registered.",
            'print(db.reconstruct_models_from_registry()["reconstructed_models"])',
        ),
        Solution("Give the model another name.", "class AppUser:\n    name: str"),
    )
