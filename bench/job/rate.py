"""How fast an engine worked, from the times at which the broker appended its interactions.

An engine that writes at its commits writes in bursts, a partition at a time. When a burst ends, all that it holds has
been done since the end of the burst before: so between the ends of bursts work is taken to have gone evenly. To count
records over the time between two of them instead would count a burst more than the time it stands for, and flatter
whoever commits seldom. Where an engine writes all the time, what is written is what is done.

1. Of each partition, find the points in time at which it is known how much was done. 2. Begin where the warm-up ends,
or where the last partition is first heard of. 3. Add up what was done since, and divide it by the time.
"""

from bisect import bisect_right
from collections.abc import Collection, Sequence
from typing import Final, NamedTuple

from schemas.errors import RestartNeeded

# Within a burst records follow each other faster than this.
_GAP_MS: Final = 20
# What goes on for longer is no burst.
_BURST_MS_MAX: Final = 250
# Fewer say nothing about a rate.
_RECORDS_MIN: Final = 100
_MILLISECONDS_PER_SECOND: Final = 1_000


class Span(NamedTuple):
    """What is measured: everything after the warm-up."""

    #: Wall clock times in seconds since 1970.
    began_s: float
    ended_s: float
    #: Records' worth of work.
    records: float
    records_per_second: float


class _Known(NamedTuple):
    """How much of a partition was done at a time."""

    time_ms: int
    records: int


def measured_span(partitions: Collection[Sequence[int]], warm_up_share: float) -> Span:
    """The span after the given share of all records, and the rate in it.

    Args:
        partitions: Append times of each partition's records in milliseconds.
        warm_up_share: Of all records together.

    Raises:
        RestartNeeded: there are too few records, or all came at once.
    """
    # Step 1.
    curves = [_known(sorted(times)) for times in partitions if times]
    # Step 2.
    merged = sorted(time for times in partitions for time in times)
    if len(merged) * (1 - warm_up_share) < _RECORDS_MIN:
        raise RestartNeeded(f"{len(merged)} records tell no rate: measure more events")
    began_ms = max(merged[int(len(merged) * warm_up_share)], *(curve[0].time_ms for curve in curves))
    if began_ms >= merged[-1]:
        raise RestartNeeded(f"{len(merged)} records that came at once tell no rate: measure more events")
    # Step 3.
    records = len(merged) - sum(_done(curve, began_ms) for curve in curves)
    rate = records / (merged[-1] - began_ms) * _MILLISECONDS_PER_SECOND
    return Span(began_ms / _MILLISECONDS_PER_SECOND, merged[-1] / _MILLISECONDS_PER_SECOND, records, rate)


def _known(times: Sequence[int]) -> list[_Known]:
    """The end of each burst; of what is no burst, every record."""
    known: list[_Known] = []
    first = 0
    for place, time in enumerate(times):
        if place + 1 < len(times) and times[place + 1] - time < _GAP_MS:
            continue
        if time - times[first] > _BURST_MS_MAX:
            known.extend(_Known(times[each], each + 1) for each in range(first, place))
        known.append(_Known(time, place + 1))
        first = place + 1
    return known


def _done(known: Sequence[_Known], time_ms: int) -> float:
    """How much was done by then, which is not before the first time that is known."""
    place = bisect_right(known, time_ms, key=lambda each: each.time_ms)
    before = known[place - 1]
    if place == len(known):
        return before.records
    after = known[place]
    share = (time_ms - before.time_ms) / (after.time_ms - before.time_ms)
    return before.records + share * (after.records - before.records)
