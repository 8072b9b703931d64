"""How fast records were written, from the times at which the broker appended them.

The rate is the slope of the line through (append time, records so far), by least squares, after the warm-up. An engine
that writes at its commits writes in bursts: the number of records over the time between the first and the last would
count a burst more than the time it stands for, and so flatter whoever commits seldom.
"""

from collections.abc import Sequence
from typing import Final, NamedTuple

from schemas.errors import RestartNeeded

# Fewer say nothing about a rate.
_RECORDS_MIN: Final = 100
_MILLISECONDS_PER_SECOND: Final = 1_000


class Span(NamedTuple):
    """What is measured: everything after the warm-up."""

    #: Wall clock times in seconds since 1970.
    began_s: float
    ended_s: float
    records: int
    records_per_second: float


def measured_span(append_times_ms: Sequence[int], warm_up_share: float) -> Span:
    """The span after the given share of all records, and the rate in it.

    Raises:
        RestartNeeded: there are too few records, or all came at once.
    """
    times = sorted(append_times_ms)
    times = times[int(len(times) * warm_up_share) :]
    if len(times) < _RECORDS_MIN or times[0] == times[-1]:
        raise RestartNeeded(f"{len(times)} records after the warm-up tell no rate: measure more events")
    middle_ms, middle_count = sum(times) / len(times), (len(times) - 1) / 2
    covariance = sum((time - middle_ms) * (count - middle_count) for count, time in enumerate(times))
    variance = sum((time - middle_ms) ** 2 for time in times)
    return Span(
        times[0] / _MILLISECONDS_PER_SECOND,
        times[-1] / _MILLISECONDS_PER_SECOND,
        len(times),
        covariance / variance * _MILLISECONDS_PER_SECOND,
    )
