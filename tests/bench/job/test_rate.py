"""The rate of an engine that writes in bursts is the rate at which it works, not the rate of a burst."""

import random

import pytest

from bench.job.rate import measured_span
from schemas.errors import RestartNeeded


def test_a_steady_engine() -> None:
    span = measured_span([list(range(10_000))], 0.25)
    assert span.records == pytest.approx(7_500, abs=1)
    assert span.records_per_second == pytest.approx(1_000, rel=0.001)
    assert (span.began_s, span.ended_s) == (2.5, 9.999)


@pytest.mark.parametrize("warm_up_share", [0.1, 0.2, 0.33, 0.41])
def test_bursts_once_a_second_flatter_nobody(warm_up_share: float) -> None:
    # Ten bursts of 1,000 records, each within 20 ms.
    times = [second * 1_000 + record // 50 for second in range(10) for record in range(1_000)]
    between_the_ends = (10_000 * (1 - warm_up_share)) / ((times[-1] - times[int(10_000 * warm_up_share)]) / 1_000)
    assert measured_span([times], warm_up_share).records_per_second == pytest.approx(1_000, rel=0.01)
    assert between_the_ends > 1_050


@pytest.mark.parametrize("interval_ms", [200, 1_000])
@pytest.mark.parametrize("events", [120_000, 300_000])
def test_partitions_that_commit_in_turns_add_up(interval_ms: int, events: int) -> None:
    dice = random.Random(events + interval_ms)
    for _ in range(4):
        partitions = [bursts(dice, events, interval_ms, events_per_ms=65) for _ in range(4)]
        assert measured_span(partitions, 1 / 3).records_per_second == pytest.approx(65_000, rel=0.06)


def bursts(dice: random.Random, events: int, interval_ms: int, events_per_ms: int) -> list[int]:
    """A quarter of the work, written at commits that begin anywhere."""
    end = events / events_per_ms
    commits = [*range(dice.randrange(interval_ms), int(end), interval_ms), int(end)]
    times: list[int] = []
    for commit in commits:
        done = int(commit * events_per_ms / 4) - len(times)
        times += [commit + 50 * record // done for record in range(done)]
    return times


def test_one_partition_after_the_other_is_as_fast_as_all_at_once() -> None:
    times = list(range(0, 8_000, 2))
    one_by_one = [times[start : start + 1_000] for start in range(0, 4_000, 1_000)]
    in_turns = [times[place::4] for place in range(4)]
    assert measured_span(in_turns, 0.25).records_per_second == pytest.approx(500, rel=0.02)
    # Measured from where the last partition is heard of.
    assert measured_span(one_by_one, 0.25).records_per_second == pytest.approx(500, rel=0.02)


def test_a_pause_counts() -> None:
    times = [*range(5_000), *range(10_000, 15_000)]
    assert measured_span([times], 0.1).records_per_second == pytest.approx(9_000 / 14, rel=0.01)


@pytest.mark.parametrize("partitions", [[[]], [[5] * 50], [[7] * 5_000]])
def test_too_few_records_or_all_at_once_tell_no_rate(partitions: list[list[int]]) -> None:
    with pytest.raises(RestartNeeded, match="tell no rate"):
        measured_span(partitions, 0.0)
