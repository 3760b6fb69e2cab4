"""The node types of a model: names, parameters, outputs, and the functions behind them."""

from __future__ import annotations

import copy
from collections.abc import Callable, Coroutine, Mapping
from typing import TYPE_CHECKING, Any, Final

from attrs import evolve, frozen

from dataflow_core.contract import Behaviour, NodeKind
from dataflow_core.errors import UnknownParameter
from dataflow_core.limits import Limits
from dataflow_core.naming_hints import nearest, quoted
from dataflow_core.nodes.access import Access
from dataflow_core.nodes.base import Context, Effect, NodeOwner, NodeType, Output, Parameter, Stream
from dataflow_core.nodes.binding import Behaviours, Binding
from dataflow_core.nodes.bulk import BulkNodes
from dataflow_core.nodes.files import FileNodes
from dataflow_core.nodes.kinds import FILE_KINDS, KINDS, node_name
from dataflow_core.nodes.listing import STREAM_PARAMETERS, ListNodes
from dataflow_core.nodes.single import SingleNodes
from dataflow_core.nodes.values import Selector
from dataflow_core.schema import Model
from dataflow_core.schema.relation_names import Relations
from dataflow_core.schema.relations import affected_by_deletion, referenced, referrers
from dataflow_core.types import Boolean, Integer

if TYPE_CHECKING:
    from dataflow_core.nodes.policies import Policies
    from dataflow_core.run.engine import Engine

__all__ = ["ModelNodes", "model_nodes", "unknown_parameter"]


_OUTPUT_TYPES: Final = {
    "count": Integer(),
    "processed": Integer(),
    "inserted": Integer(),
    "updated": None,
    "skipped": Integer(),
    "matched": Integer(),
    "created": Boolean(),
    "found": Boolean(),
    "truncated": Boolean(),
    "success": Boolean(),
}


@frozen
class ModelNodes:
    """The nodes of a model.

    Attributes:
        types: the node types by kind (``create``, ``read``, ...).
        binding: what they are bound to.
        absent: the kinds that the model has no node of, and why.
    """

    types: dict[str, NodeType]
    binding: Binding
    absent: dict[str, str]

    @property
    def absent_names(self) -> dict[str, str]:
        """The names of the nodes that the model does not have, and why."""
        return {
            node_name(self.binding.model.name, kind.suffix): self.absent[kind.key]
            for kind in (*KINDS, *FILE_KINDS)
            if kind.key in self.absent
        }


def model_nodes(
    model: Model,
    owner: NodeOwner,
    engine: Callable[[], Engine],
    lookup: Callable[[str], Model],
    max_rows: int,
    limits: Limits,
    relations: Relations,
    policies: Policies,
) -> ModelNodes:
    """The node types of a model.

    ``relations`` are those among the models of the same database; ``policies`` stand around what
    the nodes do, and may bring further kinds of them.
    """

    def behaviours(model: Model) -> Behaviours:
        return _behaviours(model, engine, lookup, max_rows, limits, relations)

    binding = Binding(
        model,
        behaviours,
        engine,
        policies.around(model),
        lambda binding: Access(binding, policies.bindings, relations, limits),
    )
    selector = Selector(model, limits, relations)
    made: dict[str, NodeType] = {}
    absent: dict[str, str] = {}
    for kind in (*KINDS, *FILE_KINDS, *policies.kinds(model)):
        run = binding.runner(kind.key, writes=kind.writes)
        if model.read_only and kind.writes:
            absent[kind.key] = f"the rows of {model.name} are only read: {model.read_only}"
        elif model.no_new_rows and kind.adds:
            absent[kind.key] = f"no rows are added to {model.name}: {model.no_new_rows}"
        else:
            made[kind.key] = _node_type(model, owner, kind, selector, run, relations)
    made["list"] = evolve(made["list"], stream=_streaming(made["list"], binding))
    return ModelNodes(made, binding, absent)


def _behaviours(
    model: Model,
    engine: Callable[[], Engine],
    lookup: Callable[[str], Model],
    max_rows: int,
    limits: Limits,
    relations: Relations,
) -> Behaviours:
    """What the nodes of a model do."""
    selector = Selector(model, limits, relations)
    single = SingleNodes(model, engine, selector, max_rows)
    listing = ListNodes(model, engine, selector, lookup, max_rows)
    bulk = BulkNodes(model, engine, selector)
    files = FileNodes(model, engine, selector, listing, bulk)
    return Behaviours(
        {
            "create": single.create,
            "read": single.read,
            "update": single.update,
            "delete": single.delete,
            "upsert": single.upsert,
            "list": listing.list,
            "count": listing.count,
            "bulk_create": bulk.create,
            "bulk_update": bulk.update,
            "bulk_delete": bulk.delete,
            "bulk_upsert": bulk.upsert,
            "export_to": files.export_to,
            "import_from": files.import_from,
        },
        lambda context, parameters: listing.stream(parameters),
    )


def _streaming(node: NodeType, binding: Binding) -> Stream:
    """A list as a stream, for whoever has no need of a node."""
    known = {name: node.parameters[name] for name in STREAM_PARAMETERS}

    def stream(context: Context, parameters: Mapping[str, Any]) -> Any:
        if not parameters.keys() <= known.keys():
            raise unknown_parameter(f"{binding.model.name}.stream", parameters, known)
        rows = binding.stream(context, parameters)
        if binding.model not in binding.engine().tables.ready:
            # The table is seen to at the first row, which may be after the caller changed these.
            given = copy.deepcopy(parameters)
            rows.again = lambda: binding.stream(context, given)
        return rows

    return stream


def _node_type(
    model: Model,
    owner: NodeOwner,
    kind: NodeKind,
    selector: Selector,
    behaviour: Behaviour,
    relations: Relations,
) -> NodeType:
    parameters = _parameters(model, kind, selector)
    name = node_name(model.name, kind.suffix)
    run = behaviour if kind.fields_in else _with_known_names(name, parameters, behaviour)
    return NodeType(
        name=name,
        owner=owner,
        run=run,
        parameters=parameters,
        outputs=_outputs(model, kind),
        effect=lambda: _effect(model, kind, relations),
        check=_static_check(name, kind, model),
        confined=bool(model.context_fields),
        description=kind.description,
    )


def _effect(model: Model, kind: NodeKind, relations: Relations) -> Effect:
    """What a node touches: its table, those of related rows, those that the database looks at.

    A list may name any model, in a stage of a pipeline.
    """
    models = list(relations.models())
    own = {(model.database, model.key)}
    looked_at = models if kind.key == "list" else []
    if "filter" in kind.parameters and kind.key != "list":
        looked_at = relations.connected(model)
    if not kind.writes:
        reads = own | {(item.database, item.key) for item in looked_at}
        return Effect(frozenset(reads), databases=frozenset({model.database}))
    looked_at = [*looked_at, *referenced(model, models), *referrers(model, models)]
    reads = own | {(item.database, item.key) for item in looked_at}
    writes = set(own)
    # What a plugin brings may do whatever a deletion does, or undo it.
    if kind.key in ("delete", "bulk_delete") or kind not in (*KINDS, *FILE_KINDS):
        writes |= {(item.database, item.key) for item in affected_by_deletion(model, models)}
    return Effect(frozenset(reads), frozenset(writes), frozenset({model.database}))


def _parameters(model: Model, kind: NodeKind, selector: Selector) -> dict[str, Parameter]:
    result = {name: Parameter(name, required=name in kind.required) for name in kind.parameters}
    if kind.keys_in:
        for item in model.given_key:
            result.setdefault(item.name, Parameter(item.name, type=item.type, nullable=False))
        if selector.alias is not None:
            key = model.given_key[0]
            result.setdefault(
                selector.alias,
                Parameter(selector.alias, type=key.type, nullable=False, alias_of=key.name),
            )
    if kind.fields_in:
        single = kind.key != "bulk_create"
        for item in model.fields:
            required = single and item.required and item.name not in kind.parameters
            if item.name not in result:
                result[item.name] = Parameter(item.name, required, item.type, item.nullable)
    return result


def _outputs(model: Model, kind: NodeKind) -> dict[str, Output]:
    result = {item.name: Output(item.name, item.type) for item in model.fields if kind.fields_out}
    for name in kind.outputs:
        known = _OUTPUT_TYPES.get(name)
        if name == "updated" and kind.key == "update":
            known = Boolean()
        if name == "deleted":
            known = Boolean() if kind.key == "delete" else Integer()
        result[name] = Output(name, known)
    return result


def _static_check(name: str, kind: NodeKind, model: Model) -> Callable[[Mapping[str, Any]], None]:
    """What can be refused before a run: constant values of the wrong kind."""
    plain = [item for item in model.fields if kind.fields_in and item.name not in kind.parameters]

    def check(parameters: Mapping[str, Any]) -> None:
        for item in plain:
            value = parameters.get(item.name)
            if value is not None:
                item.type.check(value, f"{name}: {item.name}")

    return check


def _with_known_names(node: str, known: Mapping[str, Parameter], behaviour: Behaviour) -> Behaviour:
    """Refuse parameters that the node does not have. (A create's are checked with its row.)"""

    def run(context: Context, parameters: Mapping[str, Any]) -> Coroutine[Any, Any, dict[str, Any]]:
        if not parameters.keys() <= known.keys():
            raise unknown_parameter(node, parameters, known)
        return behaviour(context, parameters)

    return run


def unknown_parameter(
    node: str, parameters: Mapping[str, Any], known: Mapping[str, Any]
) -> UnknownParameter:
    """The refusal of the first parameter that a node does not have."""
    name = next(name for name in parameters if name not in known)
    return UnknownParameter(
        f"{node} has no parameter {quoted(name)}",
        suggestion=nearest(str(name), known),
        node=node,
        parameters=sorted(known),
    )
