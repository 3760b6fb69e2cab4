"""DF-2xx: how a workflow is put together."""

from __future__ import annotations

from dataflow_core.errors.base import DataFlowError, Solution

_CONNECTED = (
    'workflow.add_node("UserCreateNode", "ada", {"name": "Ada"})\n'
    'workflow.add_node("UserReadNode", "read", {})\n'
    'workflow.add_connection("ada", "id", "read", "id")'
)


class WorkflowError(DataFlowError):
    """A workflow is not put together in a way that can run; nothing was run."""

    title = "Workflow"


class UnknownNode(WorkflowError):
    """A node type or node id is not known."""

    code = "DF-201"
    title = "Unknown node"
    causes: tuple[str, ...] = (
        "The name is misspelt: it is the model, the operation and `Node`.",
        "The model is registered with another instance, or not yet.",
        "A connection names a node that was not added.",
    )
    solutions: tuple[Solution, ...] = (
        Solution(
            "Use the name of a generated node.",
            'workflow.add_node("UserCreateNode", "ada", {"name": "Ada"})',
        ),
        Solution("Build with the instance that has the model.", "workflow = WorkflowBuilder(db)"),
    )


class UnknownOutput(WorkflowError):
    """A connection starts at an output that the node does not have."""

    code = "DF-202"
    title = "Unknown output"
    causes: tuple[str, ...] = (
        "The output is misspelt.",
        "The field was not selected, or another node returns it.",
    )
    solutions: tuple[Solution, ...] = (
        Solution("Connect an output that the node returns.", _CONNECTED),
    )


class IncompatibleConnection(WorkflowError):
    """The type of an output can never fit the parameter it is connected to."""

    code = "DF-203"
    title = "The types of a connection do not fit"
    causes: tuple[str, ...] = ("A list is connected to a single value, or text to a number.",)
    solutions: tuple[Solution, ...] = (
        Solution(
            "Take one value out of the list by its path.",
            'workflow.add_connection("list", "records.0.id", "read", "id")',
        ),
    )


class WorkflowCycle(WorkflowError):
    """Nodes wait for each other in a circle."""

    code = "DF-204"
    title = "The workflow has a cycle"
    causes: tuple[str, ...] = ("A node depends on its own result through other nodes.",)
    solutions: tuple[Solution, ...] = (Solution("Connect in one direction only.", _CONNECTED),)


class InvalidPath(WorkflowError):
    """A dotted path of a connection cannot be read, or leads nowhere in the result."""

    code = "DF-205"
    title = "A path cannot be followed"
    causes: tuple[str, ...] = (
        "The path has an empty part or an unknown form.",
        "A list is shorter than the index, or a node found no row.",
    )
    solutions: tuple[Solution, ...] = (
        Solution(
            "Name an output, then a key, an index, or `*` for each item.",
            'workflow.add_connection("list", "records.*.id", "remove", "ids")',
        ),
    )


class UnknownTarget(WorkflowError):
    """A connection ends at a parameter that the node does not have."""

    code = "DF-206"
    title = "Unknown target of a connection"
    causes: tuple[str, ...] = ("The parameter or field is misspelt.",)
    solutions: tuple[Solution, ...] = (
        Solution(
            "Connect to a parameter of the node, a field of its model, or `input` for the order.",
            'workflow.add_connection("ada", "id", "read", "input")',
        ),
    )


class DuplicateNode(WorkflowError):
    """A workflow has two nodes of one id, or two node types have one name."""

    code = "DF-207"
    title = "A node id or node name is used twice"
    causes: tuple[str, ...] = ("`add_node` was called twice with the same id.",)
    solutions: tuple[Solution, ...] = (
        Solution(
            "Give each node its own id.",
            'workflow.add_node("UserCreateNode", "ada", {"name": "Ada"})\n'
            'workflow.add_node("UserCreateNode", "grace", {"name": "Grace"})',
        ),
    )


class AmbiguousNode(WorkflowError):
    """Two live instances know a node of this name."""

    code = "DF-208"
    title = "A node name belongs to two instances"
    causes: tuple[str, ...] = ("Two `DataFlow` instances have a model of the same name.",)
    solutions: tuple[Solution, ...] = (
        Solution("Say which instance is meant.", "workflow = WorkflowBuilder(db)"),
        Solution("Close the instance that is no longer needed.", "other.close()"),
    )


class InvalidWorkflow(WorkflowError):
    """A workflow, or its stored form, cannot be read or run."""

    code = "DF-209"
    title = "The workflow is not valid"
    causes: tuple[str, ...] = (
        "The builder was given to the runtime, not what it builds.",
        "A stored workflow was changed by hand or comes from a newer version.",
    )
    solutions: tuple[Solution, ...] = (
        Solution(
            "Build the workflow, then run it.",
            "results, run_id = runtime.execute(workflow.build())",
        ),
    )


class DuplicateConnection(WorkflowError):
    """Two connections end at the same parameter of a node."""

    code = "DF-210"
    title = "A parameter is connected twice"
    causes: tuple[str, ...] = ("Two connections feed one parameter, so one would be lost.",)
    solutions: tuple[Solution, ...] = (
        Solution("Keep one connection for each parameter.", _CONNECTED),
    )
