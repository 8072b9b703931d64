"""The collect service: every door of it on one port, over one producer.

Each door turns requests of one shape into events (`cloud_events_door`); what they share, from the room for a request
to the broker's acknowledgement, is `delivery`.
"""

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from aiohttp import web

from connectors.collect.broker_readiness import BrokerReadiness, broker_readiness
from connectors.collect.cloud_events_door import REFUSED_WITH_BATCH, CloudEventsDoor
from connectors.collect.delivery import ACCEPTED, NOT_DELIVERED, REFUSED, SKIPPED, STAGE, Delivery, Door
from connectors.collect.event_gate import EventGate
from connectors.collect.event_problems import BATCH_TOO_LONG, EVENT_KINDS
from connectors.collect.segment.acceptance import Acceptance
from connectors.collect.segment.door import SegmentDoor
from connectors.collect.webhook_door import WebhookDoor
from connectors.web.access import Access, Role
from connectors.web.cors import share_across_origins
from connectors.web.limits import MEBIBYTE, WebLimits
from connectors.web.problems import WRONG_SOURCE
from connectors.web.server import serve
from connectors.web.service import make_service
from connectors.web.short_way import SHORT_TAKE
from schemas.cleaning import Cleaner
from schemas.clock import Clock
from schemas.errors import DeadCode
from schemas.mapping import MappingSet
from schemas.origins import ANY_ORIGIN
from schemas.signatures import SignatureCheck
from schemas.sources import SourceRegistry
from schemas.topics import Catalogue, Topic
from streams.kafka import KafkaOptions
from streams.metrics import Metrics
from streams.placement import InTurns
from streams.producer import DeliveringProducer, RecordProducer

#: As many as Segment lets its SDKs send at once.
BATCH_EVENTS_MAX: Final = 2_500
# How long a stop waits for records that no request waits for any more.
CLOSE_TIMEOUT_SECONDS: Final = 5.0
# How long raw events of a channel go to the same partition: what a worker fetches meanwhile is one piece.
TURN_MS: Final = 100


@dataclass(frozen=True)
class CollectOptions:
    """Where collect listens, and its bounds."""

    host: str = "127.0.0.1"
    port: int = 8090
    #: The setting that errors about the port name.
    port_setting: str = "GOLDENTHREAD_COLLECT_PORT"
    body_size_bytes: int = 4 * MEBIBYTE
    batch_events_max: int = BATCH_EVENTS_MAX
    #: What may be on its way to the broker, of all requests together.
    in_flight_bytes_max: int = 64 * MEBIBYTE
    #: A request waits so much longer, and the broker has far fewer requests to answer.
    linger_ms: int = 10
    #: After this the sender is told that nothing is promised.
    delivery_timeout_ms: int = 10_000
    #: Pages of these origins may send events; `*` is any, `none` is none.
    cors_origins: tuple[str, ...] = (ANY_ORIGIN,)


class CollectService:
    """The doors of collect over one producer."""

    def __init__(
        self,
        *,
        doors: Sequence[Door],
        producer: RecordProducer,
        readiness: BrokerReadiness,
        metrics: Metrics,
        options: CollectOptions,
        access: Access | None = None,
    ) -> None:
        self._doors = tuple(doors)
        self._producer = producer
        self._readiness = readiness
        self._metrics = metrics
        self._options = options
        self._access = access or Access(role=Role.COLLECT)

    def application(self, version: str) -> web.Application:
        """The application; stopping it closes the producer, after the last request."""
        operations = [operation for door in self._doors for operation in door.operations()]
        application = make_service(
            "collect",
            operations,
            description="Takes events of every channel.",
            metrics=self._metrics,
            version=version,
            ready=self._readiness.report,
            limits=WebLimits(body_size_bytes=self._options.body_size_bytes),
            access=self._access,
        )
        shared = [operation for operation in operations if operation.across_origins]
        share_across_origins(application, shared, self._options.cors_origins)
        for door in self._doors:
            if isinstance(door, CloudEventsDoor):
                application[SHORT_TAKE] = door.take
        application.cleanup_ctx.append(self._closing)
        return application

    async def _closing(self, _application: web.Application) -> AsyncIterator[None]:
        yield
        await asyncio.to_thread(self._producer.close, CLOSE_TIMEOUT_SECONDS)


def make_doors(
    gate: EventGate,
    delivery: Delivery,
    *,
    clock: Clock,
    registry: SourceRegistry | None = None,
    mappings: MappingSet | None = None,
    signatures: Mapping[str, SignatureCheck] | None = None,
    batch_events_max: int = BATCH_EVENTS_MAX,
) -> tuple[Door, ...]:
    """Every door that collect has.

    Raises:
        SettingError: a mapping that is shipped can't be read.
    """
    mappings = mappings or MappingSet({})
    acceptance = Acceptance(gate, registry=registry or SourceRegistry(), mappings=mappings)
    return (
        CloudEventsDoor(gate, delivery),
        SegmentDoor(acceptance, delivery, clock=clock, batch_messages_max=batch_events_max),
        WebhookDoor(
            gate,
            delivery,
            mappings=mappings,
            signatures=signatures or {},
            clock=clock,
            records_max=batch_events_max,
        ),
    )


async def run_collect(
    options: CollectOptions,
    *,
    kafka: KafkaOptions,
    catalogue: Catalogue,
    cleaner: Cleaner,
    metrics: Metrics,
    clock: Clock,
    version: str,
    access: Access | None = None,
    registry: SourceRegistry | None = None,
    mappings: MappingSet | None = None,
    signatures: Mapping[str, SignatureCheck] | None = None,
    on_listening: Callable[[str, int], None] | None = None,
) -> None:
    """Answer until SIGTERM, SIGINT or cancellation. It starts without a broker, and is ready once there is one.

    Raises:
        SettingError: the port can't be had.
        TopicError: a raw topic is not as the catalogue says; one that is missing is waited for.
        RestartNeeded: the producer can't go on.
    """
    _start_counts(metrics, catalogue)
    producer = DeliveringProducer(
        kafka,
        catalogue,
        metrics,
        linger_ms=options.linger_ms,
        delivery_timeout_ms=options.delivery_timeout_ms,
        # Raw events have no order: copies meet where the customer's fragment is, not here.
        placement=InTurns(catalogue, TURN_MS),
    )
    readiness = broker_readiness(kafka, catalogue, producer.verify_usable)
    gate = EventGate(cleaner=cleaner, catalogue=catalogue, clock=clock, batch_events_max=options.batch_events_max)
    delivery = Delivery(
        producer=producer,
        catalogue=catalogue,
        readiness=readiness,
        metrics=metrics,
        in_flight_bytes_max=options.in_flight_bytes_max,
    )
    doors = make_doors(
        gate,
        delivery,
        clock=clock,
        registry=registry,
        mappings=mappings,
        signatures=signatures,
        batch_events_max=options.batch_events_max,
    )
    service = CollectService(
        doors=doors,
        producer=producer,
        readiness=readiness,
        metrics=metrics,
        options=options,
        access=access,
    )
    await serve(
        service.application(version),
        options.host,
        options.port,
        setting_name=options.port_setting,
        on_listening=on_listening,
        alongside=[readiness.watch],
    )


def _start_counts(metrics: Metrics, catalogue: Catalogue) -> None:
    """Start at 0 what collect counts, so that every rate exists before the first event."""
    metrics.expect_dead([STAGE], catalogue.channels)
    metrics.expect_drops(STAGE, (REFUSED, NOT_DELIVERED))
    metrics.expect_written([*catalogue.raw_topics(), catalogue.name(Topic.DEAD)])
    for outcome in (
        ACCEPTED,
        NOT_DELIVERED,
        SKIPPED,
        REFUSED_WITH_BATCH,
        BATCH_TOO_LONG.code,
        WRONG_SOURCE.code,
        DeadCode.MAPPING_FAILED,
        *EVENT_KINDS,
    ):
        metrics.events_processed.labels(STAGE, outcome)
