from __future__ import annotations

from dataflow_core.features import FEATURES, Feature, features_of


def test_ids_are_lower_case_paths_with_a_description() -> None:
    """Every id is `topic.name`, is listed under itself, and says what it means."""
    assert list(FEATURES) == [info.id for info in FEATURES.values()]
    assert all(
        part.replace("_", "").isalnum() and part.islower()
        for identifier in FEATURES
        for part in identifier.split(".")
    )
    assert all(info.description for info in FEATURES.values())


def test_each_id_is_of_one_tier() -> None:
    """The three tiers together are all ids, each once."""
    tiers = [*features_of("core"), *features_of("standard"), *features_of("extended")]
    assert sorted(FEATURES) == sorted(tiers)


def test_a_feature_holds_on_its_servers_only() -> None:
    """Below `full` nothing holds; a predicate narrows `full`; an unknown version may be right."""
    recent = Feature("full", server=lambda version: version >= (10, 2))
    assert [recent.holds(version) for version in ((10, 2), (9,), None)] == [True, False, True]
    assert Feature("full").holds((1,))
    assert not Feature("unsupported", "the engine cannot").holds(None)
    assert not Feature("not_implemented", "later").holds((99,))
