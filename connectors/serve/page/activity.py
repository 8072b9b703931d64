"""What the lookup's follower brings in, counted by channel and by the second in which it was published.

Counts go by the time of publication, so that a lookup that catches up does not show the past as a burst of the present.
They begin with the process: what was published before stands in the copy, and is counted there by customer.
"""

import threading
from collections.abc import Sequence
from typing import Final

#: How much of the past is charted, seconds.
WINDOW_SECONDS: Final = 300
#: A rate is the mean over so many whole seconds, or single seconds would make it jump.
RATE_SECONDS: Final = 10
#: Where channels are counted that this installation does not name.
OTHER: Final = "other"
_MILLISECONDS_PER_SECOND: Final = 1000


class Activity:
    """Counts of interactions; written by the follower's thread, read by the event loop."""

    def __init__(self, channels: Sequence[str]) -> None:
        #: Those that this installation names; what others bring counts in the sum.
        self.named = tuple(channels)
        self.channels = (*channels, *(() if OTHER in channels else (OTHER,)))
        self._known = frozenset(self.channels)
        #: By second, the counts of channels; bounded by the window.
        self._seconds: dict[int, dict[str, int]] = {}
        self._lock = threading.Lock()

    def add(self, channel: str, published_ms: int) -> None:
        """Count an interaction; one that was published before the window is left out when the window is read."""
        name = channel if channel in self._known else OTHER
        second = published_ms // _MILLISECONDS_PER_SECOND
        with self._lock:
            counts = self._seconds.get(second)
            if counts is None:
                counts = self._seconds[second] = {}
                if len(self._seconds) > 2 * WINDOW_SECONDS:
                    self._forget_oldest()
            counts[name] = counts.get(name, 0) + 1

    def series(self, end_s: int, seconds: int = WINDOW_SECONDS) -> dict[str, list[int]]:
        """Counts of each channel for the seconds before `end_s`, oldest first."""
        with self._lock:
            window = [dict(self._seconds.get(second, ())) for second in range(end_s - seconds, end_s)]
        return {channel: [counts.get(channel, 0) for counts in window] for channel in self.channels}

    def _forget_oldest(self) -> None:
        for second in sorted(self._seconds)[:-WINDOW_SECONDS]:
            del self._seconds[second]
