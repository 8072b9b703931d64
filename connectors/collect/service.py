"""The collect service: `POST /v1/events` takes CloudEvents and answers once the broker has them.

A request goes through these steps; whatever ends it before the last, the answer says that nothing is promised:
1. room: what is on its way to the broker is bounded, beyond it the sender waits (503, Retry-After);
2. body: within its size and time, of a content type that is understood;
3. gate: every event is judged as intake will judge it; one that is refused refuses the request (400);
4. delivery: all events are produced, and all are acknowledged (else 503, Retry-After).
"""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from typing import Final

import msgspec
from aiohttp import web

from connectors.collect.broker_readiness import BrokerReadiness, broker_readiness
from connectors.collect.cloud_events_http import MEDIA_TYPES, Mode, binary_attributes, mode_of
from connectors.collect.event_gate import AcceptedEvent, BatchRefused, BatchTooLong, EventGate
from connectors.collect.event_problems import (
    BATCH_REFUSED,
    BATCH_TOO_LONG,
    EVENT_KINDS,
    NOT_ACKNOWLEDGED,
    OVERLOADED_RETRY_SECONDS,
    batch_refused,
    batch_too_long,
    event_problem,
    not_acknowledged,
)
from connectors.collect.event_schema import BATCH_CONTENT, BINARY_CONTENT, BINARY_PARAMETERS, STRUCTURED_CONTENT
from connectors.web.limits import MEBIBYTE, WebLimits
from connectors.web.operations import Answer, Content, Operation
from connectors.web.problems import NOT_READY, OVERLOADED, ProblemError, retry_after
from connectors.web.requests import read_body, require_media_type
from connectors.web.server import serve
from connectors.web.service import make_service
from connectors.web.standard import json_response, require_ready
from schemas.cleaning import Cleaner
from schemas.clock import Clock
from schemas.errors import EventError, RestartNeeded
from schemas.topics import Catalogue
from streams.kafka import KafkaOptions
from streams.logs import logger
from streams.metrics import Metrics
from streams.producer import DeliveringProducer, RecordProducer

STAGE: Final = "collect"
# Outcomes of events in metrics, besides the codes of refused ones.
ACCEPTED: Final = "accepted"
NOT_DELIVERED: Final = "not_acknowledged"
REFUSED_WITH_BATCH: Final = "refused_with_batch"
# How long a stop waits for records that no request waits for any more.
CLOSE_TIMEOUT_SECONDS: Final = 5.0
_log = logger(__name__)


@dataclass(frozen=True)
class CollectOptions:
    """Where collect listens, and its bounds."""

    host: str = "127.0.0.1"
    port: int = 8090
    #: The setting that errors about the port name.
    port_setting: str = "GOLDENTHREAD_COLLECT_PORT"
    body_size_bytes: int = 4 * MEBIBYTE
    batch_events_max: int = 1_000
    #: What may be on its way to the broker, of all requests together.
    in_flight_bytes_max: int = 64 * MEBIBYTE
    #: A request waits so much longer, and the broker has far fewer requests to answer.
    linger_ms: int = 15
    #: After this the sender is told that nothing is promised.
    delivery_timeout_ms: int = 10_000


class EventsAnswer(msgspec.Struct, frozen=True):
    """How many events the broker has acknowledged: all of the request's."""

    accepted: int


class CollectService:
    """The operations of collect over one gate and one producer."""

    def __init__(
        self,
        *,
        gate: EventGate,
        producer: RecordProducer,
        readiness: BrokerReadiness,
        metrics: Metrics,
        options: CollectOptions,
    ) -> None:
        self._gate = gate
        self._producer = producer
        self._readiness = readiness
        self._metrics = metrics
        self._options = options

    def application(self, version: str) -> web.Application:
        """The application; stopping it closes the producer, after the last request."""
        application = make_service(
            "collect",
            self._operations(),
            description="Takes events of every channel, as CloudEvents.",
            metrics=self._metrics,
            version=version,
            ready=self._readiness.report,
            limits=WebLimits(body_size_bytes=self._options.body_size_bytes),
        )
        application.cleanup_ctx.append(self._closing)
        return application

    async def _closing(self, _application: web.Application) -> AsyncIterator[None]:
        yield
        await asyncio.to_thread(self._producer.close, CLOSE_TIMEOUT_SECONDS)

    def _operations(self) -> tuple[Operation, ...]:
        kinds = (*EVENT_KINDS.values(), BATCH_REFUSED, BATCH_TOO_LONG, NOT_ACKNOWLEDGED, OVERLOADED, NOT_READY)
        return (
            Operation(
                "POST",
                "/v1/events",
                self._events,
                "sendEvents",
                "Send events",
                {202: Answer("The broker has acknowledged every event.", (Content(EventsAnswer),))},
                description="CloudEvents 1.0 in structured, batch or binary mode (`ce-` headers and a JSON body). A "
                "batch is taken whole or not at all. Sending an event again is safe: `source` and `id` name it.",
                parameters=BINARY_PARAMETERS,
                bodies=(STRUCTURED_CONTENT, BATCH_CONTENT, BINARY_CONTENT),
                problems=kinds,
            ),
        )

    async def _events(self, request: web.Request) -> web.Response:
        # 1. Room.
        if not self._readiness.verified:
            require_ready(request)
        self._require_room(0)
        # 2. Body.
        media_type = require_media_type(request, MEDIA_TYPES)
        body = await read_body(request)
        self._require_room(len(body))
        # 3. Gate.
        accepted = self._judge(media_type, request, body)
        # 4. Delivery.
        await self._deliver(accepted)
        return json_response(EventsAnswer(len(accepted)), status=202)

    def _require_room(self, size_bytes: int) -> None:
        if self._producer.outstanding_bytes + size_bytes > self._options.in_flight_bytes_max:
            raise ProblemError(
                OVERLOADED,
                "Too much is on its way to the broker; nothing of this request was taken.",
                headers=retry_after(OVERLOADED_RETRY_SECONDS),
            )

    def _judge(self, media_type: str, request: web.Request, body: bytes) -> list[AcceptedEvent]:
        try:
            match mode_of(media_type, request.headers, body):
                case Mode.STRUCTURED:
                    return [self._gate.structured(body)]
                case Mode.BINARY:
                    return [self._gate.binary(binary_attributes(request.headers), body)]
                case Mode.BATCH:
                    return self._gate.batch(body)
        except EventError as error:
            self._count(error.code.value, 1)
            raise event_problem(error) from error
        except BatchTooLong as refused:
            self._count(BATCH_TOO_LONG.code, refused.size)
            raise batch_too_long(refused) from refused
        except BatchRefused as refused:
            for code, number in Counter(error.code.value for error in refused.errors).items():
                self._count(code, number)
            self._count(REFUSED_WITH_BATCH, refused.size - len(refused.errors))
            raise batch_refused(refused) from refused

    async def _deliver(self, accepted: list[AcceptedEvent]) -> None:
        try:
            await self._producer.send_all([event.record for event in accepted])
        except RestartNeeded as error:
            self._count(NOT_DELIVERED, len(accepted))
            _log.warning("events not acknowledged", number=len(accepted), reason=str(error))
            raise not_acknowledged() from error
        self._count(ACCEPTED, len(accepted))
        for channel, number in Counter(event.channel for event in accepted).items():
            self._metrics.events_received.labels(STAGE, channel).inc(number)

    def _count(self, outcome: str, number: int) -> None:
        if number:
            self._metrics.events_processed.labels(STAGE, outcome).inc(number)


async def run_collect(
    options: CollectOptions,
    *,
    kafka: KafkaOptions,
    catalogue: Catalogue,
    cleaner: Cleaner,
    metrics: Metrics,
    clock: Clock,
    version: str,
    on_listening: Callable[[str, int], None] | None = None,
) -> None:
    """Answer until SIGTERM, SIGINT or cancellation. It starts without a broker, and is ready once there is one.

    Raises:
        SettingError: the port can't be had.
        TopicError: a raw topic is not as the catalogue says; one that is missing is waited for.
        RestartNeeded: the producer can't go on.
    """
    for channel in catalogue.channels:
        metrics.events_received.labels(STAGE, channel)
    for outcome in (ACCEPTED, NOT_DELIVERED, REFUSED_WITH_BATCH, BATCH_TOO_LONG.code, *EVENT_KINDS):
        metrics.events_processed.labels(STAGE, outcome)
    producer = DeliveringProducer(
        kafka, catalogue, metrics, linger_ms=options.linger_ms, delivery_timeout_ms=options.delivery_timeout_ms
    )
    readiness = broker_readiness(kafka, catalogue, producer.verify_usable)
    gate = EventGate(cleaner=cleaner, catalogue=catalogue, clock=clock, batch_events_max=options.batch_events_max)
    service = CollectService(gate=gate, producer=producer, readiness=readiness, metrics=metrics, options=options)
    await serve(
        service.application(version),
        options.host,
        options.port,
        setting_name=options.port_setting,
        on_listening=on_listening,
        alongside=[readiness.watch],
    )
