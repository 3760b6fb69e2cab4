"""The models and nodes of one instance."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final

from attrs import define, evolve, field

from dataflow_core.contract import ModelPolicy, NodeSpec
from dataflow_core.errors import (
    DuplicateModel,
    DuplicateNode,
    InvalidModel,
    InvalidType,
    MissingParameter,
    ModelNotInstantiable,
    UnknownNode,
)
from dataflow_core.evolve.registry import REGISTRY
from dataflow_core.filters import Bindings, JsonPath, Scope, parse_filter, walk
from dataflow_core.limits import LIMITS, Limits
from dataflow_core.naming_hints import nearest, quoted
from dataflow_core.nodes.base import Context, Effect, NodeOwner, NodeType, Parameter
from dataflow_core.nodes.binding import Binding
from dataflow_core.nodes.generate import ModelNodes, model_nodes, unknown_parameter
from dataflow_core.nodes.kinds import RESERVED_NAMES
from dataflow_core.nodes.observed import observed
from dataflow_core.nodes.policies import Policies
from dataflow_core.nodes.sql import sql_node
from dataflow_core.run.observing import Observers
from dataflow_core.run.recorders import Recorders
from dataflow_core.run.tenancy import Tenancy
from dataflow_core.schema import Field, Model
from dataflow_core.schema.checks import check_model
from dataflow_core.schema.declare import declare_model
from dataflow_core.schema.relation_names import Relations

if TYPE_CHECKING:
    from dataflow_core.run.engine import Engine

__all__ = ["Registry", "function_node", "refuse_instances"]

_KEYWORD_ONLY: Final = inspect.Parameter.KEYWORD_ONLY
_ANY_KEYWORDS: Final = inspect.Parameter.VAR_KEYWORD


@define(eq=False)
class Registry:
    """Models by class name, node types by name; names of nodes that models lack, and why."""

    owner: NodeOwner
    engine: Callable[[str], Engine]
    max_rows: int
    limits: Limits = LIMITS
    plugin_nodes: Sequence[NodeSpec] = ()
    plugin_policies: Sequence[ModelPolicy] = ()
    observers: Observers | None = None
    recorders: Recorders | None = None
    models: dict[str, Model] = field(factory=dict)
    nodes: dict[str, NodeType] = field(factory=dict)
    absent: dict[str, str] = field(factory=dict)
    bindings: dict[str, Binding] = field(factory=dict)
    tenancy: Tenancy = field(factory=Tenancy)
    policies: Policies = field(init=False)
    _relations: dict[str, Relations] = field(factory=dict, init=False)

    def __attrs_post_init__(self) -> None:
        self.policies = Policies(self.plugin_policies, self.tenancy, self.bindings.__getitem__)
        self.nodes["SQLNode"] = self._watched(sql_node(self.owner, self.engine))
        for spec in self.plugin_nodes:
            node = self.add_function(spec.name, spec.function, repeatable=spec.repeatable)
            self.nodes[spec.name] = evolve(node, last=spec.last, common=True)

    def add_class(self, cls: type, validation: Any, namespace: Mapping[str, Any]) -> ModelNodes:
        """Register a class as a model; its nodes. Raises ``ModelError``s."""
        if not isinstance(cls, type):
            raise InvalidModel(f"db.model decorates a class, got {quoted(cls)}")
        declared = declare_model(cls, claimed_options=self.policies.claimed, namespace=namespace)
        model = self.policies.extended(declared)
        known = self.models.get(model.name)
        if known is not None and known.same_as(model):
            model = known
        else:
            self._refuse_duplicates(model)
            self._refuse_duplicate_indexes(model)
            _read_checks(model)
            _read_partial_keys(model)
            brought = {item.name for item in model.fields if item.context or item.protected}
            check_model(cls, declared, validation, RESERVED_NAMES - brought)
        return self._add(model)

    def add_model(self, model: Model, *, there: bool = False) -> ModelNodes:
        """Register a model that no class declares; ``there``: its table has been made already."""
        model = self.policies.extended(model)
        known = self.models.get(model.name)
        if known is not None and known is not model:
            if not known.same_as(model):
                self._refuse_duplicates(model)
            model = known
        elif known is None:
            self._refuse_duplicates(model)
            # Some databases keep the names of indexes by table: such tables are taken as they are.
            if not there:
                self._refuse_duplicate_indexes(model)
        return self._add(model)

    def _add(self, model: Model) -> ModelNodes:
        database = model.database
        made = model_nodes(
            model,
            self.owner,
            lambda: self.engine(database),
            self.model,
            self.max_rows,
            self.limits,
            self.relations_of(database),
            self.policies,
        )
        types = {kind: self._watched(node, kind) for kind, node in made.types.items()}
        made = evolve(made, types=types)
        for node in types.values():
            if node.name in self.nodes and model.name not in self.models:
                raise DuplicateModel(
                    f"the model {model.name} would make the node {node.name}, which there is",
                    model=model.name,
                )
        self.models[model.name] = model
        self.bindings[model.name] = made.binding
        self.nodes.update({node.name: node for node in made.types.values()})
        self.absent.update(made.absent_names)
        for written in () if self.recorders is None else self.recorders.register(model):
            # Known already where another model has the same recorder.
            if self.models.get(written.name) is not written:
                self.add_model(written)
        return made

    def _watched(self, node: NodeType, kind: str | None = None) -> NodeType:
        return node if self.observers is None else observed(node, self.observers, kind)

    def adopt(self, model: Model) -> None:
        """Go on with the model that fits the table, in the place of the one of its name."""
        self.models[model.name] = model
        self.bindings[model.name].bind(model)

    def _refuse_duplicates(self, model: Model) -> None:
        if model.key.casefold() == REGISTRY.table:
            raise DuplicateModel(
                f"the table {model.table!r} of {model.name} is that of the registry of models",
                model=model.name,
            )
        for other in self.models.values():
            same_table = (other.database, other.key.casefold()) == (
                model.database,
                model.key.casefold(),
            )
            if other.name == model.name or same_table:
                what = "name" if other.name == model.name else f"table {model.table!r}"
                raise DuplicateModel(
                    f"the model {model.name} has the {what} of another model of this instance",
                    model=model.name,
                )

    def _refuse_duplicate_indexes(self, model: Model) -> None:
        """Many databases have one namespace for all indexes: the second one would not be made."""
        taken = {
            index.name.casefold(): other.name
            for other in self.models_of(model.database)
            for index in other.indexes
            if index.name is not None
        }
        for index in model.indexes:
            if index.name is None:
                continue
            owner = taken.get(index.name.casefold())
            if owner is not None:
                raise InvalidModel(
                    f"{model.name}: {owner} has an index called {quoted(index.name)} already",
                    model=model.name,
                )
            taken[index.name.casefold()] = model.name

    def add_function(
        self, name: Any, function: Callable[..., Any], *, repeatable: bool = False
    ) -> NodeType:
        """Register a user's function as a node."""
        if not isinstance(name, str) or not name.isidentifier():
            raise InvalidModel(f"the name of a node is an identifier, got {quoted(name)}")
        if name in self.nodes:
            raise DuplicateNode(f"there is a node called {name} already", node=name)
        node = function_node(name, function, self.owner, repeatable=repeatable)
        node = self.nodes[name] = self._watched(node)
        return node

    def relations_of(self, database: str) -> Relations:
        """The relations among the models of a database."""
        found = self._relations.get(database)
        if found is None:
            found = self._relations[database] = Relations(lambda: self.models_of(database))
        return found

    def models_of(self, database: str) -> list[Model]:
        """The models of a database."""
        return [model for model in self.models.values() if model.database == database]

    def model(self, name: str) -> Model:
        """The model of a class name; ``UnknownNode`` with the nearest otherwise."""
        found = self.models.get(name)
        if found is None:
            raise UnknownNode(
                f"there is no model {quoted(name)}", suggestion=nearest(name, self.models)
            )
        return found

    def node(self, name: Any) -> NodeType:
        """The node type of a name; ``UnknownNode`` with the nearest otherwise."""
        found = self.nodes.get(name) if isinstance(name, str) else None
        if found is None:
            if isinstance(name, str) and name in self.absent:
                raise UnknownNode(f"there is no node {quoted(name)}: {self.absent[name]}")
            raise UnknownNode(
                f"there is no node {quoted(name)}",
                suggestion=nearest(name, self.nodes) if isinstance(name, str) else None,
            )
        return found


def _read_checks(model: Model) -> None:
    """Refuse, at registration, a check that is no filter over the model's fields."""
    documents = [check.filter for check in model.checks]
    documents += [item.check for item in model.fields if item.check is not None]
    for document in documents:
        rule = parse_filter(document, Scope.of(model), Bindings(), where=f"{model.name}: check")
        for leaf in walk(rule):
            target = getattr(leaf, "target", None)
            item = target.field if isinstance(target, JsonPath) else target
            if isinstance(item, Field) and (reason := _unchecked(model, item)):
                raise InvalidModel(
                    f"{model.name}: a check is not about {item.name}, which {reason}: not every"
                    " database takes that",
                    model=model.name,
                )


def _read_partial_keys(model: Model) -> None:
    """Refuse, at registration, a filter of a unique index that not every database can keep."""
    for index in model.partial_keys:
        assert index.where is not None
        rule = parse_filter(index.where, Scope.of(model), Bindings(), where=f"{model.name}: index")
        for leaf in walk(rule):
            item = getattr(leaf, "target", None)
            if isinstance(item, Field) and item.generated == "database":
                raise InvalidModel(
                    f"{model.name}: the filter of a unique index is not about {item.name}, which"
                    " the database counts: not every database takes that",
                    model=model.name,
                )


def _unchecked(model: Model, item: Field) -> str:
    """Why no check is about a field; empty if one may be."""
    if item.generated == "database":
        return "the database counts"
    cleared = item.on_delete == "set_null" or any(
        item.name in key.columns and key.reference.on_delete == "set_null"
        for key in model.foreign_keys
    )
    return "a deletion elsewhere may clear" if cleared else ""


def refuse_instances(cls: type) -> None:
    """Make calling a model class say what to use instead."""

    def __init__(self: Any, *_arguments: Any, **_fields: Any) -> None:
        name = type(self).__name__
        raise ModelNotInstantiable(
            f"{name} is a model and has no instances; its rows are made by a node:"
            f' workflow.add_node("{name}CreateNode", "create", {{...}}) or'
            f" await db.nodes.{name}.create(...)",
            model=name,
        )

    cls.__init__ = __init__  # type: ignore[misc]


def function_node(
    name: str, function: Callable[..., Any], owner: NodeOwner, *, repeatable: bool = False
) -> NodeType:
    """A node type of a function ``(context, **parameters) -> dict``, with its parameters."""
    if not callable(function):
        raise InvalidModel(f"db.node decorates a function, got {quoted(function)}")
    described = list(inspect.signature(function).parameters.values())
    if not described:
        raise InvalidModel(f"{name}: the first argument of a node's function is the context")
    if described[0].kind in (_KEYWORD_ONLY, _ANY_KEYWORDS):
        raise InvalidModel(f"{name}: the context is given first, without a name")
    for item in described[1:]:
        if item.kind is item.POSITIONAL_ONLY:
            raise InvalidModel(f"{name}: {item.name} can only be given without its name")
    parameters = {
        item.name: Parameter(item.name, required=item.default is item.empty)
        for item in described[1:]
        if item.kind in (item.KEYWORD_ONLY, item.POSITIONAL_OR_KEYWORD)
    }
    open_parameters = any(item.kind is item.VAR_KEYWORD for item in described)

    @functools.wraps(function)
    async def run(context: Context, given: Mapping[str, Any]) -> dict[str, Any]:
        if not open_parameters and not given.keys() <= parameters.keys():
            raise unknown_parameter(name, given, parameters)
        for item in parameters.values():
            if item.required and item.name not in given:
                raise MissingParameter(f"{name}: {item.name} is missing", parameter=item.name)
        result = function(context, **given)
        if inspect.isawaitable(result):
            result = await result
        if not isinstance(result, dict):
            raise InvalidType(f"{name}: a node returns a dict, got {quoted(result)}")
        return result if "result" in result else {**result, "result": result}

    effect = Effect(everything=True)
    return NodeType(
        name=name,
        owner=owner,
        run=run,
        parameters=parameters,
        effect=lambda: effect,
        open_parameters=open_parameters,
        repeatable=repeatable,
        description=inspect.getdoc(function) or "",
    )
