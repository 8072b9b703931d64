"""What all doors of collect share: room, and the delivery of what they let in, with its counts.

A door is a way in with a shape of its own: CloudEvents, the Segment API, webhooks. It turns a request into events
that may be written, and, where it is a lenient one, into messages that are set aside. The steps are the same for all:

1. room: what is judged and what is on its way to the broker is bounded, beyond it the sender waits (503, Retry-After);
2. the door reads and judges the request;
3. delivery: events and dead letters are produced together, and all are acknowledged (else 503, Retry-After).
Whatever ends a request before the last step is over, the answer says that nothing is promised.
"""

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final, Protocol

from aiohttp import web

from connectors.collect.broker_readiness import BrokerReadiness
from connectors.collect.event_problems import NOT_ACKNOWLEDGED, OVERLOADED_RETRY_SECONDS, not_acknowledged
from connectors.collect.setting_aside import set_aside
from connectors.collect.sorting import Sorted
from connectors.web.operations import Operation
from connectors.web.problems import NOT_READY, OVERLOADED, ProblemError, ProblemKind, retry_after
from connectors.web.standard import require_ready
from schemas.errors import RestartNeeded
from schemas.topics import Catalogue
from streams.logs import logger
from streams.metrics import Metrics
from streams.producer import RecordProducer

STAGE: Final = "collect"
# Once something has waited so long for the broker, whoever comes is told at once, and need not wait in vain, too. What
# waits is answered or given up within a few seconds more; then the next request finds out how things are.
STALLED_SECONDS: Final = 5.0
# Outcomes of events in metrics, besides the codes of refused ones and of those set aside.
ACCEPTED: Final = "accepted"
NOT_DELIVERED: Final = "not_acknowledged"
# Left out on purpose, by the `when` of a mapping.
SKIPPED: Final = "skipped"
# Why events went no further, in metrics: they were refused, or (as above) not acknowledged.
REFUSED: Final = "refused"
#: What every operation that delivers may answer; a door adds its own.
DELIVERY_KINDS: Final[tuple[ProblemKind, ...]] = (NOT_ACKNOWLEDGED, OVERLOADED, NOT_READY)
_log = logger(__name__)


class Door(Protocol):
    """One way in."""

    def operations(self) -> tuple[Operation, ...]:
        """What it answers."""


class Delivery:
    """Room on the way to the broker, and the way itself; one for all doors of a service."""

    def __init__(
        self,
        *,
        producer: RecordProducer,
        catalogue: Catalogue,
        readiness: BrokerReadiness,
        metrics: Metrics,
        in_flight_bytes_max: int,
    ) -> None:
        self._producer = producer
        self._catalogue = catalogue
        self._readiness = readiness
        self._metrics = metrics
        self._in_flight_bytes_max = in_flight_bytes_max
        # Of the bodies that are being judged; the records made of them take as much again.
        self._judged_bytes = 0

    @contextmanager
    def room(self, request: web.Request) -> Iterator["Room"]:
        """Step 1, before the body is read; leaving it gives the room back.

        Raises:
            ProblemError: 503, before the topics were found or while too much is on its way.
        """
        if not self._readiness.verified:
            require_ready(request)
        room = Room(self)
        room.take(0)
        try:
            yield room
        finally:
            room.release()

    def room_for(self, size_bytes: int) -> "Room | None":
        """Room for a body that is here, to be released; None where there is none, or nothing is taken yet."""
        room = Room(self)
        try:
            room.take(size_bytes if self._readiness.verified else 0)
        except ProblemError:
            return None
        return room if self._readiness.verified else None

    def reserve(self, size_bytes: int) -> None:
        """Count what is about to be judged; a `Room` gives it back.

        Raises:
            ProblemError: 503, there is no room for it.
        """
        if self._producer.waiting_seconds > STALLED_SECONDS:
            raise ProblemError(
                OVERLOADED,
                "The broker does not answer at the moment; nothing of this request was taken.",
                headers=retry_after(OVERLOADED_RETRY_SECONDS),
            )
        on_its_way_bytes = self._producer.outstanding_bytes + self._judged_bytes
        # What is alone has room, or a body past the bound would never get any.
        if on_its_way_bytes and on_its_way_bytes + size_bytes > self._in_flight_bytes_max:
            raise ProblemError(
                OVERLOADED,
                "Too much is on its way to the broker; nothing of this request was taken.",
                headers=retry_after(OVERLOADED_RETRY_SECONDS),
            )
        self._judged_bytes += size_bytes

    def give_back(self, size_bytes: int) -> None:
        """Count it no more."""
        self._judged_bytes -= size_bytes

    async def deliver(self, outcome: Sorted, room: "Room") -> None:
        """Step 3: returns once the broker has acknowledged all of it, dead letters too.

        The room is given back: from here on the producer counts what is on its way.

        Raises:
            ProblemError: 503, and any of it may have been written or not.
        """
        accepted, aside = outcome.accepted, outcome.aside
        records = [event.record for event in accepted]
        records += (
            set_aside(
                self._catalogue, each.error, stage=STAGE, original=each.original, origin=each.origin,
                headers=each.headers,
            )
            for each in aside
        )  # fmt: skip
        room.release()
        try:
            await self._producer.send_all(records)
        except RestartNeeded as error:
            self.count(NOT_DELIVERED, len(records))
            _log.warning("events not acknowledged", number=len(records), reason=str(error))
            raise not_acknowledged() from error
        self.count(ACCEPTED, len(accepted))
        self.count(SKIPPED, outcome.skipped)
        for channel, number in Counter(event.channel for event in accepted).items():
            self._metrics.events_received.labels(STAGE, channel).inc(number)
        for code, number in Counter(each.error.code.value for each in aside).items():
            self._metrics.events_processed.labels(STAGE, code).inc(number)
            self._metrics.dead_letters.labels(STAGE, code).inc(number)

    def count(self, outcome: str, number: int) -> None:
        """Count events by what became of them: `accepted`, `skipped` on purpose, or why they were refused."""
        if not number:
            return
        self._metrics.events_processed.labels(STAGE, outcome).inc(number)
        if outcome not in (ACCEPTED, SKIPPED):
            self._metrics.drop(STAGE, NOT_DELIVERED if outcome == NOT_DELIVERED else REFUSED, number)


class Room:
    """What one request holds of the room on the way to the broker, until that is given back."""

    def __init__(self, delivery: Delivery) -> None:
        self._delivery = delivery
        self._size_bytes = 0

    def take(self, size_bytes: int) -> None:
        """Have room for so much more, as for a body that was read.

        Raises:
            ProblemError: 503, there is none.
        """
        self._delivery.reserve(size_bytes)
        self._size_bytes += size_bytes

    def release(self) -> None:
        """Give it back."""
        self._delivery.give_back(self._size_bytes)
        self._size_bytes = 0
