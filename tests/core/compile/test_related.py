from __future__ import annotations

from typing import Any

from attrs import evolve

from dataflow_core.aggregate.parse import parse_pipeline
from dataflow_core.compile.touched import models_touched
from dataflow_core.filters import Bindings, Scope, parse_filter
from dataflow_core.operations import Aggregate, Count, Create, Delete, DeleteMany, Find, UpdateMany
from dataflow_core.schema import Model
from dataflow_core.schema.declare import declare_model, field
from dataflow_core.schema.relation_names import Relations
from dataflow_core.updates.parse import parse_update
from tests.core.compile.toy import FULL, ITEM, TOY, ToyCompiler, statement
from tests.core.language import NOW


class Team:
    __dataflow__ = {"timestamps": False}
    id: int
    name: str | None
    parent_id: int | None = field(default=None, references="Team.id")


class Player:
    __dataflow__ = {"timestamps": False}
    id: int
    team_id: int | None = field(default=None, references="Team.id")


TEAM, PLAYER = declare_model(Team), declare_model(Player)
RELATIONS = Relations(lambda: (TEAM, PLAYER))


class CarefulCompiler(ToyCompiler):
    """For a database whose conditions see what a statement has changed so far."""

    sees_own_changes = True


def find(model: Model, document: Any) -> Find:
    """The operation of a filter."""
    tree = parse_filter(document, Scope.of(model, RELATIONS), Bindings())
    return Find(model, model.primary_key, tree)


def test_a_relation_is_a_subquery_by_the_key() -> None:
    """Every name is qualified, the value bound."""
    assert statement(find(PLAYER, {"team.name": "x"})).sql.partition(" WHERE ")[2] == (
        'EXISTS (SELECT 1 FROM "teams" AS "__related1"'
        ' WHERE "__related1"."id" = "players"."team_id" AND "__related1"."name" = $1)'
    )


def test_each_table_of_a_chain_has_a_name_of_its_own() -> None:
    """A table that refers to itself is there several times."""
    sql = statement(find(TEAM, {"parent.parent.name": "x"})).sql
    assert '"__related1"."id" = "teams"."parent_id"' in sql
    assert '"__related2"."id" = "__related1"."parent_id" AND "__related2"."name" = $1' in sql


def test_the_same_filter_with_other_values_is_the_same_shape() -> None:
    """Statements are kept for filters through relations as for others."""
    one, other = (find(PLAYER, {"team.name": name}) for name in ("a", "b"))
    assert one == other and hash(one) == hash(other)


def test_related_models_are_touched() -> None:
    """Their tables are seen to before the statement is sent."""
    assert models_touched(find(PLAYER, {"team.name": "x"})) == (PLAYER, TEAM)
    assert models_touched(find(PLAYER, {"team_id": 1})) == (PLAYER,)
    pipeline = parse_pipeline(
        [{"$lookup": {"relation": "team"}}], PLAYER, Bindings(), relations=RELATIONS
    )
    assert models_touched(Aggregate(PLAYER, pipeline)) == (PLAYER, TEAM)


def test_a_change_is_about_the_rows_before_it() -> None:
    """Where a condition sees what was changed so far, the rows are chosen before."""
    chosen = '"teams" WHERE "id" IN (SELECT "id" FROM "teams" WHERE EXISTS '
    tree = find(TEAM, {"parent.name": "x"}).filter
    update = parse_update({"name": "y"}, TEAM, Bindings(), now=NOW)
    change = UpdateMany(TEAM, tree, tuple(update.assignments))
    assert " IN (SELECT" not in statement(change).sql
    careful = CarefulCompiler(FULL)
    assert (
        ' WHERE "id" IN (SELECT "id" FROM "teams" WHERE EXISTS ' in statement(change, careful).sql
    )
    assert chosen in statement(DeleteMany(TEAM, tree), careful).sql
    assert chosen in statement(Delete(TEAM, tree), careful).sql


def test_a_joined_row_comes_back_as_a_document() -> None:
    """Dotted columns are put together, None where every one is NULL."""
    document = [
        {"$lookup": {"relation": "team"}},
        {"$unwind": {"path": "$team", "preserveNullAndEmptyArrays": True}},
        {"$project": {"id": 1, "team.name": 1}},
    ]
    pipeline = parse_pipeline(document, PLAYER, Bindings(), relations=RELATIONS)
    made = statement(Aggregate(PLAYER, pipeline))
    assert 'LEFT JOIN "teams" AS "__related1"' in made.sql
    rows = made.decode([(1, "x"), (2, None)])
    assert rows == [{"id": 1, "team": {"name": "x"}}, {"id": 2, "team": None}]


def test_a_schema_stands_before_the_table() -> None:
    """Every statement about the rows of a model names the schema of its table."""
    model = evolve(ITEM, schema="my schema")
    update = parse_update({"size": 1}, model, Bindings(), now=NOW)
    everything = find(model, {}).filter
    pipeline = parse_pipeline([{"$limit": 1}], model, Bindings())
    for operation in (
        find(model, {}),
        Count(model),
        UpdateMany(model, everything, tuple(update.assignments)),
        DeleteMany(model, everything),
        Aggregate(model, pipeline),
    ):
        assert '"my schema"."items"' in statement(operation).sql
    rows = TOY.compile(Create(model, model.fields[:1])).rows
    assert rows is not None and rows.sql(1).startswith('INSERT INTO "my schema"."items" (')
    assert '"my schema"."items"' in TOY.update_rows(model, model.fields[:1], model.fields[1:], 1)
