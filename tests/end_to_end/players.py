"""Producers that play a stream of events into a running system while the test does something to it."""

import asyncio
import random
import threading
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Final, Self

from bench.play import GIVE_UP_SECONDS, play, play_to_kafka
from tests.running_system import RunningSystem
from tests.waiting import SYSTEM_DEADLINE_S

EVENTS_PER_SECOND: Final = 90.0
#: What is played at once, so that what happens meanwhile happens under load; the rest comes when it is let go.
PLAYED_AT_ONCE: Final = 0.9
Event = dict[str, Any]


class Players:
    """Two producers that play a stream at once: collect over HTTP and Kafka itself; the rest waits for `release`."""

    def __init__(
        self,
        system: RunningSystem,
        stream: Sequence[Event],
        dice: random.Random,
        *,
        events_per_second: float = EVENTS_PER_SECOND,
        give_up_s: float = GIVE_UP_SECONDS,
        at_once: float = PLAYED_AT_ONCE,
    ) -> None:
        self._at_once = at_once
        self._released = threading.Event()
        self._given_up = False
        over_http: list[Event] = []
        straight: list[Event] = []
        for event in stream:
            (over_http if dice.random() < 0.5 else straight).append(event)
        rate = events_per_second / 2
        self._deadline_s = SYSTEM_DEADLINE_S + give_up_s
        broker = system.environment["KAFKA_BOOTSTRAP_SERVERS"]
        self._pool = ThreadPoolExecutor(2)
        self._playing = [
            self._pool.submit(
                lambda: asyncio.run(play(self._held(over_http), system.collect_url, rate, give_up_seconds=give_up_s))
            ),
            self._pool.submit(
                play_to_kafka, self._held(straight), broker, rate, prefix=system.prefix, give_up_seconds=give_up_s
            ),
        ]

    def __enter__(self) -> Self:
        """They play already."""
        return self

    def __exit__(self, *_error: object) -> None:
        """A test that failed needs no more events."""
        self._given_up = True
        self._released.set()
        self._pool.shutdown()

    def release(self) -> None:
        """Let the rest go."""
        self._released.set()

    def finish(self) -> int:
        """Let the rest go, and wait for the end; returns how many events the system has."""
        self.release()
        return sum(playing.result(self._deadline_s) for playing in self._playing)

    def _held(self, events: Sequence[Event]) -> Iterator[Event]:
        """The stream's end is held back until it is let go."""
        for place, event in enumerate(events):
            if place == int(len(events) * self._at_once):
                self._released.wait(self._deadline_s)
            if self._given_up:
                return
            yield event
