"""UUIDs of version 7."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from uuid import RFC_4122

from dataflow_core import uuid7 as module
from dataflow_core.uuid7 import uuid7


def test_version_and_variant():
    """A UUIDv7 says so in its version and variant bits."""
    made = uuid7()
    assert (made.version, made.variant) == (7, RFC_4122)


def test_the_time_is_in_the_first_48_bits():
    """The first 48 bits are the milliseconds since 1970."""
    before = time.time_ns() // 1_000_000
    made = uuid7().int >> 80
    # Other tests may have pushed the counter on by a few milliseconds.
    assert before <= made <= before + 5_000


def test_each_is_greater_than_the_one_before():
    """Within a process each UUID is greater than every earlier one, as number and as text."""
    made = [uuid7() for _ in range(20_000)]
    assert made == sorted(made)
    assert [str(one) for one in made] == sorted(str(one) for one in made)
    assert len(set(made)) == len(made)


def test_threads_never_make_the_same_one():
    """Threads that make UUIDs at once never make one twice, and each sees its own in order."""
    with ThreadPoolExecutor(8) as pool:
        batches = list(pool.map(lambda _: [uuid7() for _ in range(2_000)], range(8)))
    assert all(batch == sorted(batch) for batch in batches)
    assert len({one for batch in batches for one in batch}) == 16_000


def test_a_clock_that_is_set_back_does_not_set_the_order_back(monkeypatch):
    """The order holds although the clock goes backwards."""
    first = uuid7()
    monkeypatch.setattr("dataflow_core.uuid7.time.time_ns", lambda: 1_000_000_000)
    assert first < uuid7() < uuid7()


def test_a_full_counter_goes_on_in_the_next_millisecond(monkeypatch):
    """When the counter of a millisecond is used up, the next millisecond is taken."""
    first = uuid7()
    monkeypatch.setattr(module, "_counter", (1 << 42) - 2)
    monkeypatch.setattr("dataflow_core.uuid7.time.time_ns", lambda: 0)
    last, following = uuid7(), uuid7()
    assert first < last < following
    assert following.int >> 80 == (last.int >> 80) + 1
