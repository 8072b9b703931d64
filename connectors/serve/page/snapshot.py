"""What the page shows of the whole system at one moment, computed once for everybody who looks.

The texts are written here, once: the page's first rendering and its live updates show the same ones.
"""

from collections.abc import Callable
from typing import Final, Protocol

import msgspec

from connectors.serve.layout import CONTEXTS_KEY, LookupRows, unpack_count
from connectors.serve.page.activity import RATE_SECONDS, Activity
from connectors.serve.page.dead_watch import DeadLetters
from connectors.serve.page.words import rate_text, seconds_text
from connectors.web.standard import ReadyReport
from schemas.clock import Clock
from schemas.times import MICROSECONDS_PER_SECOND
from streams.freshness import Lag

#: Counts of so many past seconds go with each update, since some are published with a delay.
TAIL_SECONDS: Final = 15
#: A lag below this is the way of an event through the system, not a sign of trouble.
CALM_LAG_SECONDS: Final = 5.0
_UNKNOWN: Final = "?"


class LagKnower(Protocol):
    """What knows the lag; `streams.freshness.Freshness` is it."""

    @property
    def known(self) -> bool:
        """Whether it was found out once."""

    @property
    def waiting(self) -> bool:
        """Whether something waited a moment ago, or that can't be told."""

    def lag(self) -> Lag:
        """What is known now."""


class Snapshot(msgspec.Struct, frozen=True):
    """One update. Series are counts by second, oldest first, of the seconds before `time`."""

    #: Seconds since 1970.
    time: int
    ready: bool
    #: healthy, busy or waiting: how the state is shown, besides the words.
    mood: str
    #: What stands where, by name.
    texts: dict[str, str]
    #: Seconds; None where it is not known.
    lag: float | None
    series: dict[str, list[int]]


class Overview:
    """Makes snapshots.

    Args:
        rows: The lookup's copy.
        activity: Counts by channel.
        freshness: Knows the lag.
        dead: The last known numbers of dead letters.
        ready: Whether the copy is complete.
        clock: Wall time.
    """

    def __init__(
        self,
        rows: LookupRows,
        activity: Activity,
        *,
        freshness: LagKnower,
        dead: Callable[[], DeadLetters | None],
        ready: Callable[[], ReadyReport],
        clock: Clock,
    ) -> None:
        self._rows = rows
        self.activity = activity
        self._freshness = freshness
        self._dead = dead
        self._ready = ready
        self._clock = clock

    def now_us(self) -> int:
        """Wall time, microseconds since 1970."""
        return self._clock.now_us()

    def snapshot(self) -> Snapshot:
        """How it is now."""
        now_s = self._clock.now_us() // MICROSECONDS_PER_SECOND
        report = self._ready()
        series = self.activity.series(now_s, TAIL_SECONDS)
        lag = self._lag_seconds()
        texts = {
            "contexts": f"{unpack_count(self._rows.get(CONTEXTS_KEY)):,}",
            "state": self._state(report, lag),
            "lag": _UNKNOWN if lag is None else seconds_text(lag) if lag else "0 s",
            "lag-note": _lag_note(lag),
            **_dead_texts(self._dead()),
            **_rate_texts(series),
        }
        mood = "waiting" if not report.ready or lag is None else "busy" if lag >= CALM_LAG_SECONDS else "healthy"
        return Snapshot(now_s, report.ready, mood, texts, lag, series)

    def _lag_seconds(self) -> float | None:
        if not self._freshness.known:
            return None
        return self._freshness.lag().seconds if self._freshness.waiting else 0.0

    @staticmethod
    def _state(report: ReadyReport, lag: float | None) -> str:
        if not report.ready:
            return f"Catching up: {'; '.join(report.reasons)}"
        if lag is not None and lag >= CALM_LAG_SECONDS:
            return f"{seconds_text(lag)} behind"
        return "Up to date"


def _lag_note(lag: float | None) -> str:
    if lag is None:
        return "not known yet"
    return "nothing waits" if lag == 0 else "age of the oldest event that waits"


def _dead_texts(dead: DeadLetters | None) -> dict[str, str]:
    if dead is None:
        return {"dead": _UNKNOWN, "dead-note": "not known: the broker did not say"}
    note = "none in the last hour" if dead.recent == 0 else f"{dead.recent:,} in the last hour"
    return {"dead": f"{dead.kept:,}", "dead-note": note}


def _rate_texts(series: dict[str, list[int]]) -> dict[str, str]:
    rates = {channel: sum(counts[-RATE_SECONDS:]) / RATE_SECONDS for channel, counts in series.items()}
    return {"rate": rate_text(sum(rates.values()))} | {
        f"rate-{channel}": rate_text(rate) for channel, rate in rates.items()
    }
