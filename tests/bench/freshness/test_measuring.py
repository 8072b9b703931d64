"""Goal: figures count from when an event was due, and each hop is found. Method: by hand, and a small system."""

from pathlib import Path

import msgspec
import pytest

from bench.freshness import FreshnessPlan, lines, measure
from bench.freshness.client import ClientOutcome, SentRequest, Shot
from bench.freshness.hops import Passed
from bench.freshness.measuring import Pace, pace_of, sampled
from bench.generator import encode
from bench.steady_events import SteadyEvent

MS = 1_000


def _pace(passed: dict[str, Passed], seen_us: dict[str, int], statuses: tuple[int, ...] = (202, 202, 202)) -> Pace:
    shots = [Shot(b"", [f"e-{number}"], "/", f"e-{number}") for number in range(3)]
    requests = [SentRequest(number * 10 * MS, number * 10 * MS + 30 * MS, statuses[number]) for number in range(3)]
    outcome = ClientOutcome(requests=requests, seen_us=seen_us, missing=["e-2"], questions=4)
    return pace_of(shots, outcome, passed, settling=1, processors={})


def test_every_hop_is_a_difference_of_moments_and_the_first_requests_do_not_count() -> None:
    passed = {
        "e-0": Passed(1, 2, 3),
        "e-1": Passed(35 * MS, 50 * MS, 90 * MS),
        "e-2": Passed(45 * MS, 65 * MS, 100 * MS),
    }
    pace = _pace(passed, {"e-0": 1, "e-1": 140 * MS})
    assert (pace.events, pace.refused, pace.missing) == (2, 0, 1)
    assert (pace.to_visible.count, pace.to_visible.max_ms) == (1, 130.0)
    assert pace.accepted_to_visible.max_ms == 100.0
    assert (pace.hops.due_to_accepted.count, pace.hops.due_to_accepted.max_ms) == (2, 30.0)
    assert pace.hops.due_to_raw.max_ms == 25.0
    assert (pace.hops.raw_to_routed.p50_ms, pace.hops.raw_to_routed.max_ms) == (15.0, 20.0)
    assert (pace.hops.routed_to_published.p50_ms, pace.hops.routed_to_published.max_ms) == (35.0, 40.0)
    assert pace.hops.published_to_visible.max_ms == 50.0


def test_what_was_refused_is_told_and_is_in_no_other_figure() -> None:
    pace = _pace({}, {}, (202, 503, 202))
    assert (pace.events, pace.refused) == (1, 1)
    assert pace.hops.due_to_accepted.count == 2


def test_a_sample_is_asked_for_by_what_it_is_known_by() -> None:
    value = encode({"data": {"identifiers": {"phone": "+3161", "crm": "1"}}})
    shot = sampled(Shot(b"", ["e"]), SteadyEvent("web", value, "e", is_copy=False))
    assert (shot.path, shot.sample) == ("/v1/identifiers/phone/%2B3161/context", "e")


@pytest.mark.kafka
def test_a_small_system_shows_all_that_it_accepted(tmp_path: Path) -> None:
    plan = FreshnessPlan(
        events_per_second=100, seconds=2, settle_seconds=0.5, join_seconds=0, warm_events=300, samples_per_second=10
    )
    found = measure(plan, tmp_path)
    assert found.steady.refused == found.steady.missing == 0
    # A copy in twenty is no event of its own.
    assert 150 <= found.steady.events <= 200
    assert found.to_visible.count >= 15
    assert found.steady.hops.raw_to_routed.count == found.steady.hops.routed_to_published.count == found.steady.events
    assert found.steady.to_visible.p50_ms > found.steady.hops.due_to_raw.p50_ms
    assert found.steady.to_visible.p50_ms > found.to_visible.p50_ms > 0
    assert any("due to visible" in line for line in lines(found))
    told = msgspec.json.decode(msgspec.json.encode(found))
    assert told["steady"]["accepted_to_visible"]["count"] == found.to_visible.count
