"""Goal: percentiles are measured values, and what a stall costs is seen. Method: data made by hand."""

import pytest

from bench.load.latencies import Latencies, due_seconds, latencies_of


def test_percentiles_are_values_that_so_many_do_not_exceed() -> None:
    found = latencies_of(number / 1000 for number in range(1, 1001))
    assert found == Latencies(count=1000, p50_ms=500.0, p99_ms=990.0, p999_ms=999.0, max_ms=1000.0)


def test_order_does_not_count() -> None:
    assert latencies_of([3.0, 1.0, 2.0]) == latencies_of([1.0, 2.0, 3.0])


def test_of_few_the_worst_is_the_percentile() -> None:
    found = latencies_of([0.001, 0.5])
    assert (found.p50_ms, found.p99_ms, found.p999_ms, found.max_ms) == (1.0, 500.0, 500.0, 500.0)


def test_of_none_there_is_nothing() -> None:
    assert latencies_of([]) == Latencies(count=0, p50_ms=0.0, p99_ms=0.0, p999_ms=0.0, max_ms=0.0)


def test_requests_are_due_at_an_even_pace() -> None:
    assert [due_seconds(number, 2_000) for number in (0, 1, 2_000, 3_001)] == pytest.approx([0, 0.0005, 1, 1.5005])
