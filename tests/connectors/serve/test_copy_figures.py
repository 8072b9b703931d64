"""What the lookup tells of its copy: how many there are, and how long events take to get there."""

from connectors.serve.copy_figures import OBSERVED_PER_BATCH_MAX, CopyFigures
from schemas.topics import Topic
from streams.metrics import LAG_SERVICE, Metrics
from tests.connectors.serve.support import NOW_US, Copy


def _figures(copy: Copy) -> tuple[CopyFigures, Metrics]:
    metrics = Metrics(LAG_SERVICE, "1")
    return CopyFigures(copy.rows, copy.projection.interactions, metrics, copy.clock), metrics


def _value(metrics: Metrics, name: str, **labels: str) -> float | None:
    return metrics.registry.get_sample_value(f"goldenthread_{name}", labels)


def _interactions(copy: Copy, number: int, age_us: int) -> None:
    """Bring in one batch of so many interactions whose events were received so long ago."""
    fragment = copy.fragment("cookie", "c-1")
    records = [copy.interaction(fragment, NOW_US - place, event=f"e-{place}") for place in range(number)]
    copy.put(*records)
    copy.projection.interactions.received = [NOW_US - age_us] * number


def test_contexts_and_identifiers_are_shown_by_what_they_are() -> None:
    copy = Copy()
    figures, metrics = _figures(copy)
    assert _value(metrics, "contexts", level="recognised") == 0
    copy.put(copy.record(Topic.CONTEXT, b"a" * 32, b'{"identity":{"level":"recognised"}}'))
    copy.link("cookie", "c-1")
    figures.refresh()
    assert _value(metrics, "contexts", level="recognised") == 1
    assert _value(metrics, "identifiers", role="home") == 1
    assert _value(metrics, "identifiers", role="shared") == 0


def test_an_interaction_that_can_not_be_read_is_counted_once() -> None:
    copy = Copy()
    figures, metrics = _figures(copy)
    copy.put(copy.record(Topic.INTERACTIONS, b"a" * 32, b"{"))
    figures.refresh()
    figures.refresh()
    labels = {"stage": "lookup", "reason": "unreadable", "intentional": "false"}
    assert _value(metrics, "events_dropped_total", **labels) == 1


def test_every_event_of_a_small_batch_is_measured_from_its_receipt() -> None:
    copy = Copy()
    figures, metrics = _figures(copy)
    _interactions(copy, 3, age_us=2_000_000)
    figures.observe_visible()
    assert _value(metrics, "end_to_end_duration_seconds_count") == 3
    assert _value(metrics, "end_to_end_duration_seconds_sum") == 6


def test_of_a_flood_some_events_stand_for_all() -> None:
    copy = Copy()
    figures, metrics = _figures(copy)
    _interactions(copy, 4 * OBSERVED_PER_BATCH_MAX, age_us=1_000_000)
    figures.observe_visible()
    assert 0 < (_value(metrics, "end_to_end_duration_seconds_count") or 0) <= OBSERVED_PER_BATCH_MAX


def test_a_broker_whose_clock_is_ahead_gives_no_negative_durations() -> None:
    copy = Copy()
    figures, metrics = _figures(copy)
    _interactions(copy, 1, age_us=-5_000_000)
    figures.observe_visible()
    assert _value(metrics, "end_to_end_duration_seconds_sum") == 0


def test_the_projection_tells_when_the_events_of_a_batch_were_received() -> None:
    copy = Copy()
    fragment = copy.fragment("cookie", "c-1")
    record = copy.interaction(fragment, NOW_US)
    value = record.value or b""
    received = b'{"received":"2026-03-04T05:06:07.250Z",' + value.removeprefix(b"{")
    copy.put(record._replace(value=received), copy.interaction(fragment, NOW_US + 1, event="e-old"))
    assert [one % 1_000_000 for one in copy.projection.interactions.received] == [250_000]
    copy.put(copy.record(Topic.CONTEXT, b"a" * 32, None))
    assert copy.projection.interactions.received == []
