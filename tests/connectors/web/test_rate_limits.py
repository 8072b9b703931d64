"""Goal: a key sends one second's worth at once and then its rate. Method: a clock that the test moves."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connectors.web.rate_limits import RateLimits
from schemas.clock import ManualClock


def test_a_full_bucket_holds_one_seconds_worth() -> None:
    limits = RateLimits(ManualClock())
    waits = [limits.take("a", 3) for _ in range(5)]
    assert waits[:3] == [0, 0, 0]
    assert waits[3:] == [pytest.approx(1 / 3)] * 2


def test_after_the_wait_that_was_told_one_more_goes_through() -> None:
    clock = ManualClock()
    limits = RateLimits(clock)
    assert [limits.take("a", 0.5), limits.take("a", 0.5)] == [0, 2]
    clock.advance(1.9)
    assert limits.take("a", 0.5) > 0
    clock.advance(0.1 + 1e-9)
    assert limits.take("a", 0.5) == 0


def test_a_key_that_was_silent_saves_up_no_more_than_a_second() -> None:
    clock = ManualClock()
    limits = RateLimits(clock)
    limits.take("a", 3)
    clock.advance(3600)
    assert [limits.take("a", 3) == 0 for _ in range(5)] == [True, True, True, False, False]


def test_keys_do_not_share_a_bucket() -> None:
    limits = RateLimits(ManualClock())
    assert [limits.take("a", 1), limits.take("b", 1), limits.take("a", 1) > 0] == [0, 0, True]


def test_the_table_is_bounded() -> None:
    limits = RateLimits(ManualClock(), buckets_max=10)
    for number in range(1000):
        limits.take(str(number), 1)
    assert len(limits) == 10


@given(st.lists(st.floats(0, 0.5), min_size=1, max_size=200), st.floats(0.5, 50))
def test_never_more_than_the_burst_and_the_rate(pauses: list[float], rate: float) -> None:
    clock = ManualClock()
    limits = RateLimits(clock)
    passed = 0
    for pause in pauses:
        clock.advance(pause)
        passed += limits.take("a", rate) == 0
    assert passed <= max(1.0, rate) + sum(pauses) * rate + 1e-6
