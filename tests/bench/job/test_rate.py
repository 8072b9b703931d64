"""The rate of an engine that writes in bursts is the rate at which it works, not the rate of a burst."""

import pytest

from bench.job.rate import measured_span
from schemas.errors import RestartNeeded


def test_a_steady_engine() -> None:
    span = measured_span(list(range(10_000)), 0.25)
    assert span.records == 7_500
    assert span.records_per_second == pytest.approx(1_000)
    assert (span.began_s, span.ended_s) == (2.5, 9.999)


@pytest.mark.parametrize("warm_up_share", [0.0, 0.2, 0.33, 0.41])
def test_bursts_once_a_second_flatter_nobody(warm_up_share: float) -> None:
    # Ten bursts of 1,000 records, each within 20 ms.
    times = [second * 1_000 + record // 50 for second in range(10) for record in range(1_000)]
    between_the_ends = (10_000 * (1 - warm_up_share)) / ((times[-1] - times[int(10_000 * warm_up_share)]) / 1_000)
    assert measured_span(times, warm_up_share).records_per_second == pytest.approx(1_000, rel=0.06)
    assert between_the_ends > 1_080


def test_order_of_partitions_does_not_matter() -> None:
    times = list(range(0, 1_000, 2)) + list(range(1, 1_000, 2))
    assert measured_span(times, 0.0) == measured_span(sorted(times), 0.0)


@pytest.mark.parametrize("times", [[], [5] * 50, [7] * 5_000])
def test_too_few_records_or_all_at_once_tell_no_rate(times: list[int]) -> None:
    with pytest.raises(RestartNeeded, match="tell no rate"):
        measured_span(times, 0.0)
