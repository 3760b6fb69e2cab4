"""The tree: one class for each code, and the attributes that some classes add."""

from __future__ import annotations

import copy
import json
import pickle
from typing import TypeVar

import pytest

import dataflow_core.errors as errors
from dataflow_core.errors import (
    ConnectionFailed,
    ConstraintViolation,
    DatabaseError,
    DataFlowError,
    ForeignKeyViolation,
    InvalidType,
    InvalidURL,
    InvalidValue,
    ModelNotInstantiable,
    NodeExecutionError,
    UniqueViolation,
    UnsupportedFeature,
    all_errors,
    with_database_code,
)

CODES = {
    "MissingParameter": "DF-101",
    "InvalidType": "DF-102",
    "InvalidValue": "DF-103",
    "ManagedField": "DF-104",
    "UnknownParameter": "DF-105",
    "UnknownField": "DF-106",
    "ConflictingParameters": "DF-107",
    "LimitExceeded": "DF-108",
    "FilterRequired": "DF-109",
    "UnknownNode": "DF-201",
    "UnknownOutput": "DF-202",
    "IncompatibleConnection": "DF-203",
    "WorkflowCycle": "DF-204",
    "InvalidPath": "DF-205",
    "UnknownTarget": "DF-206",
    "DuplicateNode": "DF-207",
    "AmbiguousNode": "DF-208",
    "InvalidWorkflow": "DF-209",
    "DuplicateConnection": "DF-210",
    "TableMissing": "DF-301",
    "SchemaMismatch": "DF-302",
    "SchemaChangeRefused": "DF-303",
    "RegistryConflict": "DF-304",
    "InvalidURL": "DF-401",
    "AmbiguousURL": "DF-402",
    "DialectNotInstalled": "DF-403",
    "UnknownOption": "DF-404",
    "InvalidOption": "DF-405",
    "PluginError": "DF-406",
    "UnknownHook": "DF-407",
    "ContractMismatch": "DF-408",
    "UnknownDatabase": "DF-409",
    "InstanceClosed": "DF-410",
    "NodeExecutionError": "DF-501",
    "DatabaseError": "DF-502",
    "ConnectionFailed": "DF-503",
    "ConnectionLost": "DF-504",
    "PoolTimeout": "DF-505",
    "StatementTimeout": "DF-506",
    "LockTimeout": "DF-507",
    "Deadlock": "DF-508",
    "SerializationFailure": "DF-509",
    "WorkflowTimeout": "DF-510",
    "NodeTimeout": "DF-511",
    "TransactionFailed": "DF-512",
    "TransactionSpansDatabases": "DF-513",
    "TransactionUndone": "DF-524",
    "DiskFull": "DF-514",
    "ReadOnlyDatabase": "DF-515",
    "CorruptDatabase": "DF-516",
    "BlockingCallRefused": "DF-517",
    "NoRowReturned": "DF-518",
    "StreamInTransaction": "DF-519",
    "StreamNotReadable": "DF-520",
    "FileNotUsable": "DF-521",
    "InvalidFileContent": "DF-522",
    "ExtraNotInstalled": "DF-523",
    "TenantRequired": "DF-530",
    "TenantMismatch": "DF-531",
    "VersionRequired": "DF-532",
    "VersionConflict": "DF-533",
    "InvalidModel": "DF-601",
    "DuplicateModel": "DF-602",
    "ModelNotInstantiable": "DF-603",
    "UnsupportedType": "DF-604",
    "ModelCheckFailed": "DF-605",
    "UnknownModelOption": "DF-606",
    "RecordNotFound": "DF-701",
    "MultipleRecordsMatched": "DF-702",
    "UniqueViolation": "DF-703",
    "ForeignKeyViolation": "DF-704",
    "NotNullViolation": "DF-705",
    "CheckViolation": "DF-706",
    "ValueTooLong": "DF-707",
    "OutOfRange": "DF-708",
    "UnknownOperator": "DF-801",
    "InvalidFilter": "DF-802",
    "PatternRefused": "DF-803",
    "InvalidUpdate": "DF-804",
    "InvalidPipeline": "DF-805",
    "InvalidOrder": "DF-806",
    "InvalidCursor": "DF-807",
    "UnsupportedFeature": "DF-901",
}
RETRYABLE = {
    "ConnectionFailed",
    "ConnectionLost",
    "PoolTimeout",
    "LockTimeout",
    "Deadlock",
    "SerializationFailure",
}


Error = TypeVar("Error", bound=DataFlowError)


def travelled(error: Error) -> Error:
    """The error as it arrives in another process."""
    again = pickle.loads(pickle.dumps(error))  # noqa: S301 - what was just written
    assert type(again) is type(error)
    return again


def node_error(cause: BaseException) -> NodeExecutionError:
    """The failure of a node after another one finished."""
    return NodeExecutionError(
        "node 'ada' failed",
        node_id="ada",
        node_type="UserCreateNode",
        cause=cause,
        results={"first": {"result": {"id": 1}}},
        run_id="run-1",
    )


def test_codes_keep_their_meaning() -> None:
    """Each class has its code for ever; a new code is added to this table."""
    assert {kind.__name__: kind.code for kind in all_errors()} == CODES


def test_codes_are_unique_and_sorted() -> None:
    """No code is used twice, and the registry is in the order of the codes."""
    codes = [kind.code for kind in all_errors()]
    assert codes == sorted(set(codes))


@pytest.mark.parametrize("kind", all_errors(), ids=lambda kind: kind.code)
def test_every_class_explains_itself(kind: type[DataFlowError]) -> None:
    """Each class has its own title, docstring, causes and solutions with a snippet."""
    for name in ("title", "__doc__", "causes", "solutions"):
        assert vars(kind)[name], name
    assert all(cause.endswith((".", ")")) for cause in kind.causes)
    for solution in kind.solutions:
        assert solution.text.endswith(".")
        assert solution.snippet.strip() == solution.snippet


@pytest.mark.parametrize("kind", all_errors(), ids=lambda kind: kind.code)
def test_python_snippets_compile(kind: type[DataFlowError]) -> None:
    """A snippet marked as Python is valid Python."""
    snippets = [item.snippet for item in kind.solutions if item.language == "python"]
    compiled = [compile(snippet, kind.code, "exec") for snippet in snippets]
    assert len(compiled) == len(snippets)


def test_public_names_are_complete() -> None:
    """Every error class is exported, and every exported name exists."""
    assert {kind.__name__ for kind in all_errors()} <= set(errors.__all__)
    assert all(hasattr(errors, name) for name in errors.__all__)
    assert len(errors.__all__) == len(set(errors.__all__))


def test_families_have_a_common_base() -> None:
    """All codes of one family but the database's can be caught by one class."""
    families = {
        "DF-1": errors.ParameterError,
        "DF-2": errors.WorkflowError,
        "DF-3": errors.SchemaError,
        "DF-4": errors.ConfigurationError,
        "DF-6": errors.ModelError,
        "DF-8": errors.LanguageError,
        "DF-9": errors.FeatureError,
    }
    for kind in all_errors():
        family = families.get(kind.code[:4])
        assert family is None or issubclass(kind, family), kind


def test_constraint_errors_are_database_errors() -> None:
    """The broken rules of a table (703 to 708) are database errors with one base."""
    for kind in all_errors():
        if "DF-703" <= kind.code <= "DF-708":
            assert issubclass(kind, ConstraintViolation)
    assert issubclass(ConstraintViolation, DatabaseError)


def test_what_may_be_retried_is_said() -> None:
    """Exactly the errors that pass by themselves are marked as retryable."""
    assert {kind.__name__ for kind in all_errors() if kind.retryable} == RETRYABLE


def test_errors_fit_python_s_own_classes() -> None:
    """Code that catches TypeError or ValueError also catches the matching errors."""
    assert issubclass(InvalidType, TypeError)
    assert issubclass(ModelNotInstantiable, TypeError)
    assert issubclass(InvalidValue, ValueError)
    assert issubclass(InvalidURL, ValueError)


def test_the_code_of_the_database() -> None:
    """An error of a database carries that database's own code by one name, as text; what has a
    code keeps it, and without one it is None."""
    assert DatabaseError("failed").database_code is None
    for number, kind in enumerate((DatabaseError, UniqueViolation, ConnectionFailed)):
        error = with_database_code(kind("failed"), 1_000 + number)
        assert isinstance(error, DatabaseError)
        for again in (error, travelled(error), copy.copy(error)):
            assert again.database_code == again.context["database_code"] == str(1_000 + number)
        assert with_database_code(error, "other") is error
        assert error.database_code == str(1_000 + number)
    assert with_database_code(None, 5) is None


def test_constraint_attributes() -> None:
    """A constraint error carries table, constraint, columns and row, also through pickling."""
    error = UniqueViolation(
        "users.email is not unique",
        table="users",
        constraint="users_email_key",
        columns=["email"],
        index=3,
    )
    for again in (error, travelled(error), copy.copy(error)):
        assert (again.table, again.constraint) == ("users", "users_email_key")
        assert (again.columns, again.index) == (("email",), 3)
        assert again.outcome == "not done"
    assert error.to_dict()["context"] == {
        "table": "users",
        "constraint": "users_email_key",
        "columns": ["email"],
        "index": 3,
        "database_code": None,
    }


@pytest.mark.parametrize("side", ["child", "parent", None])
def test_foreign_key_side(side: errors.Side | None) -> None:
    """A broken reference says on which side it broke, where that is known."""
    error = ForeignKeyViolation("orders.user_id refers to nothing", side=side, table="orders")
    assert travelled(error).side == side
    assert error.to_dict()["context"]["side"] == side


def test_unsupported_feature_attributes() -> None:
    """A refused feature names feature, dialect and reason."""
    error = UnsupportedFeature("no", feature="json.path", dialect="toy", reason="no JSON")
    again = travelled(error)
    assert (again.feature, again.dialect, again.reason) == ("json.path", "toy", "no JSON")


def test_node_error_carries_its_cause() -> None:
    """A failed node tells node, type, run, cause and code, and what finished before."""
    cause = UniqueViolation("users.email is not unique", table="users", suggestion="upsert")
    error = node_error(cause)
    assert (error.node_id, error.node_type, error.run_id) == ("ada", "UserCreateNode", "run-1")
    assert (error.cause, error.cause_code) == (cause, "DF-703")
    assert error.outcome == "not done"
    assert error.results == {"first": {"result": {"id": 1}}}
    text = str(error)
    assert text.startswith("DF-501: node 'ada' failed\n")
    assert "  caused by DF-703: users.email is not unique" in text
    assert "did you mean 'upsert'?" in text


def test_node_error_as_values() -> None:
    """The values nest the cause and name the finished nodes without their rows."""
    values = node_error(UniqueViolation("twice")).to_dict()
    assert values["cause"]["code"] == "DF-703"
    assert values["finished"] == ["first"]
    assert "result" not in json.dumps(values["finished"])
    foreign = node_error(KeyError("name")).to_dict()
    assert foreign["cause"] == {"code": None, "error": "KeyError", "message": "'name'"}


def test_node_error_of_a_foreign_cause() -> None:
    """A cause that is no error of DataFlow has no code and is shown by its class and text."""
    error = node_error(KeyError("name"))
    assert error.cause_code is None
    assert error.outcome is None
    assert "  caused by KeyError: 'name'" in str(error)


def test_node_error_with_a_hostile_cause() -> None:
    """A cause that cannot be printed does not hide the error."""

    class Broken(Exception):
        def __str__(self) -> str:
            raise RuntimeError("no text")

    error = node_error(Broken())
    assert "  caused by Broken\n" in str(error)
    assert error.to_dict()["cause"]["message"] == ""


def test_node_error_always_travels() -> None:
    """A cause or result that cannot be pickled is replaced by its description."""

    class Local(Exception):
        pass

    again = travelled(node_error(Local("broken pipe")))
    assert isinstance(again.cause, RuntimeError)
    assert str(again.cause) == "Local: broken pipe"
    assert again.results == {"first": {"result": {"id": 1}}}
    error = node_error(UniqueViolation("twice"))
    error.results["stream"] = {"result": (number for number in (1, 2))}
    again = travelled(error)
    assert again.cause_code == "DF-703"
    assert "generator" in again.results["stream"]["result"]
