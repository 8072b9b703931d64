"""Figures of the lookup's copy: how many contexts and identifiers there are, and how long events take to get there."""

from typing import Final

from connectors.serve.interaction_rows import InteractionRows
from connectors.serve.layout import LEVEL_COUNT_PREFIX, ROLE_COUNT_PREFIX, unpack_count
from schemas.clock import Clock
from schemas.times import MICROSECONDS_PER_SECOND
from state.engine import Rows
from streams.metrics import LEVELS, ROLES, Metrics

#: The stage that the lookup's drops are counted under.
STAGE: Final = "lookup"
UNREADABLE: Final = "unreadable"
# In a batch larger than this, every n-th interaction stands for all: a flood must not be slowed by being measured.
OBSERVED_PER_BATCH_MAX: Final = 500


class CopyFigures:
    """Reads counts from the copy and durations from what its projection takes in."""

    def __init__(self, rows: Rows, interactions: InteractionRows, metrics: Metrics, clock: Clock) -> None:
        self._rows = rows
        self._interactions = interactions
        self._metrics = metrics
        self._clock = clock
        self._unreadable_told = 0
        metrics.expect_drops(STAGE, (UNREADABLE,))
        self.refresh()

    def refresh(self) -> None:
        """Show what the copy counts."""
        for level in LEVELS:
            self._metrics.contexts.labels(level).set(self._count(LEVEL_COUNT_PREFIX, level))
        for role in ROLES:
            self._metrics.identifiers.labels(role).set(self._count(ROLE_COUNT_PREFIX, role))
        unreadable = self._interactions.unreadable
        self._metrics.drop(STAGE, UNREADABLE, unreadable - self._unreadable_told)
        self._unreadable_told = unreadable

    def observe_visible(self) -> None:
        """The last batch can be read from now on. Called by the follower's thread, never while it catches up."""
        now_us = self._clock.now_us()
        received = self._interactions.received
        for one in received[:: 1 + len(received) // OBSERVED_PER_BATCH_MAX]:
            # The broker's clock may be ahead of ours.
            self._metrics.end_to_end_seconds.observe(max(0, now_us - one) / MICROSECONDS_PER_SECOND)

    def _count(self, prefix: bytes, name: str) -> int:
        return unpack_count(self._rows.get(prefix + name.encode()))
