"""Time as a dependency: the system's clock, and one that a test or a drill moves by hand."""

import time
from typing import Protocol


class Clock(Protocol):
    """What reads the time: wall time for people and records, monotonic time for durations."""

    def now_us(self) -> int:
        """Microseconds since 1970, UTC."""

    def monotonic_s(self) -> float:
        """Seconds since an arbitrary moment; never goes back."""


class SystemClock:
    """The machine's clocks."""

    def now_us(self) -> int:
        """Microseconds since 1970, UTC."""
        return time.time_ns() // 1000

    def monotonic_s(self) -> float:
        """Seconds since an arbitrary moment; never goes back."""
        return time.monotonic()


class ManualClock:
    """A clock that stands still until it is told to move."""

    def __init__(self, now_us: int = 0) -> None:
        self._now_us = now_us
        self._monotonic_s = 0.0

    def now_us(self) -> int:
        """Microseconds since 1970, UTC."""
        return self._now_us

    def monotonic_s(self) -> float:
        """Seconds since the clock was made."""
        return self._monotonic_s

    def advance(self, seconds: float) -> None:
        """Move both times forward."""
        self._now_us += round(seconds * 1_000_000)
        self._monotonic_s += seconds
