"""DF-6xx: how a model is declared."""

from __future__ import annotations

from dataflow_core.errors.base import DataFlowError, Solution

_MODEL = Solution(
    "Declare a class with annotated fields.",
    "@db.model\nclass User:\n    name: str\n    email: str | None\n    age: int = 0",
)


class ModelError(DataFlowError):
    """A model is not declared in a way that can be used."""

    title = "Models"


class InvalidModel(ModelError):
    """The declaration of a model cannot be read or contradicts itself."""

    code = "DF-601"
    title = "A model is not valid"
    causes: tuple[str, ...] = (
        "The class has no annotated fields, or an annotation that cannot be resolved.",
        "An index, a key or a reference names a field that does not exist.",
        "A default does not fit the type of its field.",
    )
    solutions: tuple[Solution, ...] = (_MODEL,)


class DuplicateModel(ModelError):
    """Two models have the same name, the same table, or node names that meet."""

    code = "DF-602"
    title = "A model exists already"
    causes: tuple[str, ...] = (
        "The class is registered twice with one instance.",
        "Two class names give the same node names or the same table.",
    )
    solutions: tuple[Solution, ...] = (
        Solution(
            "Give the second class another name, or its own table.",
            '@db.model\nclass Customer:\n    __tablename__ = "shop_customers"\n    name: str',
        ),
    )


class ModelNotInstantiable(ModelError, TypeError):
    """A model was called as if it made an object; rows are made by nodes."""

    code = "DF-603"
    title = "A model is not instantiated"
    causes: tuple[str, ...] = ("`User(...)` was written where a row is to be created.",)
    solutions: tuple[Solution, ...] = (
        Solution("Create the row by its node.", 'db.run_sync("UserCreateNode", name="Ada")'),
        Solution(
            "Or in a workflow.", 'workflow.add_node("UserCreateNode", "ada", {"name": "Ada"})'
        ),
    )


class UnsupportedType(ModelError):
    """A field has a type that no database column is known for."""

    code = "DF-604"
    title = "A type is not supported"
    causes: tuple[str, ...] = (
        "The annotation is a class, a union or a container without a column type.",
    )
    solutions: tuple[Solution, ...] = (
        Solution("Store nested data as JSON.", "class User:\n    settings: dict"),
        Solution(
            "Use int, float, str, bool, bytes, Decimal, datetime, date, time, UUID, dict, list, "
            "Literal or an enum; `| None` makes it optional.",
            "class User:\n    balance: Decimal\n    born: date | None",
        ),
    )


class ModelCheckFailed(ModelError):
    """A registration check found a fault, and the checks are strict."""

    code = "DF-605"
    title = "A registration check failed"
    causes: tuple[str, ...] = ('`validation="strict"` makes errors of what would be warnings.',)
    solutions: tuple[Solution, ...] = (
        Solution("Change what the check names; it says how.", "db.model(User)"),
        Solution("Be warned instead.", 'db = DataFlow(validation="warn")'),
    )


class UnknownModelOption(ModelError):
    """`__dataflow__` or `field()` has an option that nothing installed knows."""

    code = "DF-606"
    title = "Unknown option of a model"
    causes: tuple[str, ...] = (
        "The option is misspelt.",
        "The plugin that knows the option is not installed.",
    )
    solutions: tuple[Solution, ...] = (
        Solution(
            "Use a known option.",
            'class User:\n    __dataflow__ = {"indexes": [["name"]]}\n    name: str',
        ),
        Solution(
            "Install the plugin of the option.",
            'pip install "dataflow-db[all]"',
            language="shell",
        ),
    )
