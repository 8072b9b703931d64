"""A collect service on a free port over a producer in memory, with a few registered sources."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import aiohttp
import msgspec

from connectors.collect.broker_readiness import BrokerReadiness
from connectors.collect.delivery import Delivery
from connectors.collect.event_gate import EventGate
from connectors.collect.service import CollectOptions, CollectService, make_doors
from connectors.web.access import Access
from connectors.web.server import listening
from schemas.cleaning import Cleaner
from schemas.clock import ManualClock
from schemas.identity_policy import DEFAULT_POLICY
from schemas.keys import Keyring
from schemas.mapping import MappingSet
from schemas.sources import Source, SourceRegistry
from schemas.times import parse_time
from schemas.topics import Catalogue
from streams.metrics import Metrics
from streams.recording_producer import RecordingProducer

CATALOGUE = Catalogue()
NOW = "2026-11-22T10:00:00Z"
#: `till` is registered for the store, `lost` for a channel that does not exist.
REGISTRY = SourceRegistry({"till": Source(channel="store"), "lost": Source(channel="moon")})
STRUCTURED = {"Content-Type": "application/cloudevents+json"}
BATCH = {"Content-Type": "application/cloudevents-batch+json"}


def event(number: int = 1, **changes: Any) -> dict[str, Any]:
    """A good event; a change to None takes the attribute away."""
    attributes = {
        "specversion": "1.0",
        "id": f"e-{number}",
        "source": "shop-web",
        "type": "page.viewed",
        "time": NOW,
        "channel": "web",
        "data": {"identifiers": {"cookie": "c-77"}, "summary": "Viewed running shoes"},
    } | changes
    return {name: value for name, value in attributes.items() if value is not None}


def encoded(value: Any) -> bytes:
    """JSON of the value."""
    return msgspec.json.encode(value)


def cleaner() -> Cleaner:
    """Judges by the default policy and registrations."""
    return Cleaner(
        policy=DEFAULT_POLICY, registry=REGISTRY, keyring=Keyring(b"a secret of tests"), channels=CATALOGUE.channels
    )


def gate(batch_events_max: int = 1000) -> EventGate:
    """A gate at `NOW`."""
    return EventGate(
        cleaner=cleaner(), catalogue=CATALOGUE, clock=ManualClock(parse_time(NOW)), batch_events_max=batch_events_max
    )


@dataclass
class Collect:
    """A running service, what it wrote, and a client for it."""

    client: aiohttp.ClientSession
    producer: RecordingProducer
    readiness: BrokerReadiness
    metrics: Metrics
    #: Faults that the next looks at the broker and its topics meet, by name of the look.
    faults: dict[str, Exception] = field(default_factory=dict)

    async def post(self, body: Any, headers: dict[str, str] | None = None) -> aiohttp.ClientResponse:
        """Send; values are encoded as JSON, bytes go as they are."""
        data = body if isinstance(body, bytes) else encoded(body)
        return await self.client.post("/v1/events", data=data, headers=headers or STRUCTURED)

    def outcome(self, name: str) -> float | None:
        """How many events were counted under the outcome."""
        labels = {"stage": "collect", "outcome": name}
        return self.metrics.registry.get_sample_value("goldenthread_events_processed_total", labels)


@asynccontextmanager
async def running(
    *,
    looked: bool = True,
    access: Access | None = None,
    mappings: MappingSet | None = None,
    registry: SourceRegistry = REGISTRY,
    **options: Any,
) -> AsyncIterator[Collect]:
    """The service, ready unless nobody `looked` for the broker."""
    chosen = CollectOptions(**options)
    producer, metrics, faults = RecordingProducer(CATALOGUE), Metrics("collect", "1"), dict[str, Exception]()

    def look(name: str) -> None:
        if name in faults:
            raise faults[name]

    readiness = BrokerReadiness(
        probe=lambda: look("probe"),
        find_topics=lambda: look("find_topics"),
        verify=lambda: look("verify"),
        verify_producer=producer.verify_usable,
    )
    if looked:
        await readiness.look()
    delivery = Delivery(
        producer=producer,
        catalogue=CATALOGUE,
        readiness=readiness,
        metrics=metrics,
        in_flight_bytes_max=chosen.in_flight_bytes_max,
    )
    service = CollectService(
        doors=make_doors(
            gate(chosen.batch_events_max),
            delivery,
            clock=ManualClock(parse_time(NOW)),
            registry=registry,
            mappings=mappings,
            batch_events_max=chosen.batch_events_max,
        ),
        producer=producer,
        readiness=readiness,
        metrics=metrics,
        options=chosen,
        access=access,
    )
    async with (
        listening(service.application("1"), "127.0.0.1", 0) as (host, port),
        aiohttp.ClientSession(f"http://{host}:{port}") as client,
    ):
        yield Collect(client, producer, readiness, metrics, faults)
