"""What all doors of collect share: room, and the delivery of what they let in, with its counts.

A door is a way in with a shape of its own: CloudEvents, the Segment API, webhooks. It turns a request into events
that may be written, and, where it is a lenient one, into messages that are set aside. The steps are the same for all:

1. room: what is on its way to the broker is bounded, beyond it the sender waits (503, Retry-After);
2. the door reads and judges the request;
3. delivery: events and dead letters are produced together, and all are acknowledged (else 503, Retry-After).
Whatever ends a request before the last step is over, the answer says that nothing is promised.
"""

from collections import Counter
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

    def require_room(self, request: web.Request, size_bytes: int = 0) -> None:
        """Step 1, before the body is read and again with its size.

        Raises:
            ProblemError: 503, before the topics were found or while too much is on its way.
        """
        if not self._readiness.verified:
            require_ready(request)
        if self._producer.outstanding_bytes + size_bytes > self._in_flight_bytes_max:
            raise ProblemError(
                OVERLOADED,
                "Too much is on its way to the broker; nothing of this request was taken.",
                headers=retry_after(OVERLOADED_RETRY_SECONDS),
            )

    async def deliver(self, outcome: Sorted) -> None:
        """Step 3: returns once the broker has acknowledged all of it, dead letters too.

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
