"""The cache of plans."""

from __future__ import annotations

from dataflow_core.compile import Compiled
from dataflow_core.contract import ErrorSituation
from dataflow_core.operations import Find, Operation
from dataflow_core.run.plans import Plan, ShapeCache
from dataflow_core.schema import Field, Model
from dataflow_core.types import Integer


def model(name: str = "Thing") -> Model:
    """A model with a key and ten numbers."""
    fields = [Field("id", Integer(), "id", primary_key=True, generated="database")]
    fields += [Field(f"n{number}", Integer(), f"n{number}") for number in range(10)]
    return Model(name, name.lower(), tuple(fields))


def plan(operation: Operation) -> Plan:
    """A plan of nothing."""
    return Plan(operation, Compiled(), False, ErrorSituation())


def test_equal_shapes_share_a_plan():
    """A shape that is built again is found, and nothing is compiled for it."""
    cache, thing = ShapeCache(), model()
    made = cache.add(Find(thing, thing.fields[:2]), plan)
    assert cache.get(Find(thing, thing.fields[:2])) is made
    assert cache.get(Find(thing, thing.fields[:3])) is None
    assert cache.compiled == 1


def test_models_of_the_same_form_do_not_share_plans():
    """Two models are two, however alike they look."""
    cache, one, other = ShapeCache(), model(), model()
    cache.add(Find(one, one.fields), plan)
    assert cache.get(Find(other, other.fields)) is None


def test_the_cache_is_bounded():
    """At most ``size`` plans are kept, and the oldest goes first."""
    cache, thing = ShapeCache(size=4), model()
    shapes = [Find(thing, thing.fields[: number + 1]) for number in range(10)]
    for shape in shapes:
        cache.add(shape, plan)
        assert len(cache) <= 4
    assert [cache.get(shape) is not None for shape in shapes] == [False] * 6 + [True] * 4
    assert cache.compiled == 10


def test_the_plans_of_a_model_can_be_dropped():
    """Forgetting a model leaves the plans of others."""
    cache, one, other = ShapeCache(), model("One"), model("Other")
    cache.add(Find(one, one.fields), plan)
    cache.add(Find(other, other.fields), plan)
    cache.forget(one)
    assert cache.get(Find(one, one.fields)) is None
    assert cache.get(Find(other, other.fields)) is not None
