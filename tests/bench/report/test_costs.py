"""What a million events cost, and what an installation needs, by measured figures."""

from itertools import pairwise

import pytest

from bench.freshness import Freshness, FreshnessPlan
from bench.freshness.measuring import Hops, Pace
from bench.load.latencies import latencies_of
from bench.report.costs import PACES_PER_SECOND, costs, edge, installations
from bench.report.document import markdown
from bench.report.results import Results
from bench.throughput import parts
from tests.bench.report.test_report import MACHINE, RATES, results_of

NONE = latencies_of([])


@pytest.fixture
def results() -> Results:
    hops = Hops(
        due_to_accepted=NONE, due_to_raw=NONE, raw_to_routed=NONE, routed_to_published=NONE, published_to_visible=NONE
    )
    pace = Pace(
        events=1,
        refused=0,
        missing=0,
        to_visible=NONE,
        accepted_to_visible=NONE,
        hops=hops,
        questions_per_second=1.0,
        processors={"collect": 0.3, "lookup": 0.2, "worker": 0.5},
    )
    fresh = Freshness(
        plan=FreshnessPlan(events_per_second=2_000.0), steady=pace, loaded=None, joining=None, joined_seconds=None
    )
    found = results_of({parts.PIPELINE: RATES[parts.PIPELINE], parts.QUIX: RATES[parts.QUIX]})
    return Results(MACHINE, found.throughput, fresh)


def test_a_million_events_cost_what_the_runs_used(results: Results) -> None:
    (cost,) = costs(results)
    assert cost.load == parts.PIPELINE
    # The middle of two runs, of 24,000 and 26,400 events a second.
    assert cost.worker_seconds == pytest.approx(1_000_000 / (25_200 * 1.1))
    assert cost.broker_seconds == pytest.approx(1_000_000 * 0.3 / 25_200)
    assert cost.written_mib == pytest.approx(1.05 * 300_000_000 / 1024 / 1024)
    assert cost.stored_mib == pytest.approx(1.05 * 400_000_000 / 1024 / 1024)


def test_the_edge_costs_what_a_steady_pace_used(results: Results) -> None:
    sides = edge(results)
    assert sides is not None
    assert [sides.collect_seconds, sides.lookup_seconds] == pytest.approx([150.0, 100.0])


def test_more_events_never_need_less_and_half_of_a_process_is_kept_free(results: Results) -> None:
    found = installations(results)
    assert tuple(each.events_per_second for each in found) == PACES_PER_SECOND
    for less, more in pairwise(found):
        assert less.partitions <= more.partitions
        assert less.workers <= more.workers
        assert less.brokers <= more.brokers
        assert less.processors < more.processors
        assert less.written_gib_per_day < more.written_gib_per_day
    for each in found:
        assert each.events_per_second <= 0.5 * 25_200 * each.workers
        assert each.partitions > each.workers
        # Collect takes 150 microseconds an event: 3,333 a second are half of a processor.
        assert each.events_per_second <= 3_334 * each.collects


def test_a_pace_that_would_be_missed_has_its_log_three_times(results: Results) -> None:
    small, large = installations(results, (2_000, 4_000))
    assert (small.brokers, large.brokers) == (1, 3)
    assert large.written_gib_per_day == pytest.approx(6 * small.written_gib_per_day)


def test_what_was_not_measured_is_worked_out_nowhere() -> None:
    assert costs(Results(MACHINE)) == []
    assert edge(Results(MACHINE)) is None
    assert installations(results_of(RATES)) == []
    assert "## Costs" not in markdown(Results(MACHINE), [])


def test_the_report_shows_both_tables(results: Results) -> None:
    text = markdown(results, [])
    assert "## Costs" in text
    assert f"| {parts.PIPELINE} | 36 | 12 | 300 | 401 | 300 |" in text
    assert "| 50,000 | 8 | 4 | 15 | 3 |" in text
