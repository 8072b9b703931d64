"""How many dead letters there are, asked of the broker now and then while somebody looks.

Offsets of `dead` are asked for, not records: kept are those between its two ends, and new ones those past the offset
of an hour ago. What transactions leave in the log counts along, so the numbers are about right, never too small.
"""

import asyncio
import time
from collections.abc import Callable
from typing import Final, NamedTuple

from confluent_kafka import Consumer, KafkaException, TopicPartition

from schemas.clock import Clock
from schemas.errors import BrokerUnreachable, GoldenthreadError
from schemas.times import MICROSECONDS_PER_MILLISECOND
from streams.kafka import KafkaOptions
from streams.logs import logger

log = logger(__name__)

#: The broker is left alone for so long between two questions.
INTERVAL_SECONDS: Final = 5.0
RECENT_SECONDS: Final = 3600
_REQUEST_TIMEOUT_SECONDS: Final = 2.0


class DeadLetters(NamedTuple):
    """How many are kept, and how many of them came within the last hour."""

    kept: int
    recent: int


class DeadWatch:
    """Remembers the last answer; None where the broker did not give one.

    Args:
        ask: Asks the broker; blocks, so it runs in a thread.
        interval_s: The least time between two questions.
        close: Called at the end, when no question is under way any more.
    """

    def __init__(
        self,
        ask: Callable[[], DeadLetters],
        interval_s: float = INTERVAL_SECONDS,
        close: Callable[[], None] = lambda: None,
    ) -> None:
        self._ask = ask
        self._close = close
        self._interval_s = interval_s
        self._asked_at: float | None = None
        self._asking: asyncio.Task[None] | None = None
        self.known: DeadLetters | None = None

    def refresh(self) -> "asyncio.Task[None] | None":
        """Ask again if the last question is long enough ago; gives the question under way, if there is one."""
        due = self._asked_at is None or time.monotonic() - self._asked_at >= self._interval_s
        if due and (self._asking is None or self._asking.done()):
            self._asked_at = time.monotonic()
            self._asking = asyncio.create_task(self._refreshed())
        return self._asking if self._asking is not None and not self._asking.done() else None

    async def current(self, timeout_s: float) -> DeadLetters | None:
        """The numbers of now; those known before, where the broker takes longer than this."""
        asking = self.refresh()
        if asking is not None:
            await asyncio.wait([asking], timeout=timeout_s)
        return self.known

    async def stop(self) -> None:
        """End once the question under way has ended, which it does within its timeout."""
        if self._asking is not None:
            await asyncio.wait([self._asking])
        await asyncio.to_thread(self._close)

    async def _refreshed(self) -> None:
        try:
            self.known = await asyncio.to_thread(self._ask)
        except GoldenthreadError as error:
            self.known = None
            log.info("dead letters can't be counted", reason=str(error))


class DeadTopic:
    """Asks for the ends of `dead`; its one consumer is made at the first question. Not for several threads at once."""

    def __init__(self, kafka: KafkaOptions, topic: str, clock: Clock) -> None:
        self._kafka = kafka
        self._topic = topic
        self._clock = clock
        self._consumer: Consumer | None = None

    def __call__(self) -> DeadLetters:
        """The numbers of now.

        Raises:
            BrokerUnreachable: it did not answer in time.
        """
        if self._consumer is None:
            self._consumer = Consumer(self._kafka.reader())
        since_ms = self._clock.now_us() // MICROSECONDS_PER_MILLISECOND - RECENT_SECONDS * 1000
        try:
            low, high = self._consumer.get_watermark_offsets(
                TopicPartition(self._topic, 0), timeout=_REQUEST_TIMEOUT_SECONDS
            )
            (since,) = self._consumer.offsets_for_times(
                [TopicPartition(self._topic, 0, since_ms)], timeout=_REQUEST_TIMEOUT_SECONDS
            )
        except KafkaException as error:
            raise BrokerUnreachable(f"ends of {self._topic}: {error.args[0].str()}") from error
        # No record since then: the answer is the end, which has no number.
        first_recent = since.offset if since.offset >= 0 else high
        return DeadLetters(high - low, high - max(first_recent, low))

    def close(self) -> None:
        """Let go of the broker."""
        if self._consumer is not None:
            self._consumer.close()
