"""Latencies, counted from when a request was due.

A client that waits for an answer before it asks again sends nothing while the other side stands still, so the very
requests that would have waited longest are never made (coordinated omission). Here every request has its moment,
fixed beforehand; one that could only be sent later has waited since that moment, and what it waited counts.
"""

import math
from collections.abc import Iterable

import msgspec

_MS: float = 1000.0


class Latencies(msgspec.Struct, frozen=True, kw_only=True):
    """What many latencies were, in milliseconds; all of it 0 where there were none."""

    count: int
    p50_ms: float
    p99_ms: float
    p999_ms: float
    max_ms: float

    def __str__(self) -> str:
        return (
            f"p50 {self.p50_ms:8.1f}   p99 {self.p99_ms:8.1f}   p99.9 {self.p999_ms:8.1f}   max {self.max_ms:8.1f} ms"
            f"   ({self.count:,})"
        )


def latencies_of(seconds: Iterable[float]) -> Latencies:
    """The percentiles of latencies in seconds."""
    ordered = sorted(seconds)
    return Latencies(
        count=len(ordered),
        p50_ms=_percentile_ms(ordered, 0.50),
        p99_ms=_percentile_ms(ordered, 0.99),
        p999_ms=_percentile_ms(ordered, 0.999),
        max_ms=_percentile_ms(ordered, 1.0),
    )


def _percentile_ms(ordered: list[float], share: float) -> float:
    """The least latency that so many of them do not exceed: one that was measured, nothing in between."""
    if not ordered:
        return 0.0
    return round(ordered[max(0, math.ceil(share * len(ordered)) - 1)] * _MS, 3)


def due_seconds(number: int, per_second: float) -> float:
    """When request `number` (from 0) is due, in seconds after the first: evenly spread."""
    return number / per_second
