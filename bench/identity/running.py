"""Goldenthread as it runs: events through Kafka into a system of its own, answers from its lookup.

Nothing is asked of its insides. Whose an event is, is what a reader can find out: `interactions` tells the fragment
that an event counts for, and the lookup tells which customer that fragment is now.
"""

import asyncio
import json
import time
from collections.abc import AsyncIterator, Hashable, Iterable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self

import aiohttp

from bench.compare import CONCURRENT_REQUESTS_MAX, Lookup
from bench.drill.outputs import read_topics
from bench.generator import encode
from bench.identity.exposure import Ask, Asking, Exposures, ShownTrait
from bench.identity.records import POLICY_FILE, SOURCES_FILE, EventKey
from bench.identity.stream import Labelled
from bench.own_system import OwnSystem
from bench.raw_feed import RawFeed
from schemas.enrichment.names import DERIVED
from schemas.errors import RestartNeeded
from schemas.identifiers import Identifier
from schemas.topics import DEFAULT_PREFIX, Catalogue, Topic
from streams.bulk import Record
from streams.kafka import KafkaOptions

# Past these something is wrong rather than slow.
_CAUGHT_UP_SECONDS_MAX: Final = 1200.0
_REQUEST_SECONDS_MAX: Final = 30.0
# Lookups that are under way, or prepared, at one time.
_LOOKUPS_TOGETHER: Final = 500
# A trait that is derived from another says nothing of its own.
_DERIVED: Final = frozenset(name for derived in DERIVED.values() for name in derived)
_SETTINGS: Final = {
    # What a form says of a name or an address does not beat what a login or a record says.
    "GOLDENTHREAD_TRUSTED_TRAITS": "email,phone,first_name,last_name,city",
    "GOLDENTHREAD_SOURCES_FILE": str(SOURCES_FILE),
    "GOLDENTHREAD_IDENTITY_FILE": str(POLICY_FILE),
}


class RunningWay:
    """One running system; a context manager.

    Args:
        folder: Where all of it writes.
    """

    def __init__(self, folder: Path) -> None:
        self._system = OwnSystem(folder, _SETTINGS)
        #: Events that the system was given, copies among them.
        self.sent = 0

    def __enter__(self) -> Self:
        """Start the broker, a worker and a lookup."""
        self._system.__enter__()
        try:
            self._system.start("worker")
            self._system.start("lookup")
        except BaseException:
            self._system.__exit__(None, None, None)
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """End all of it."""
        self._system.__exit__(kind, error, trace)

    def play(self, events: Iterable[Labelled]) -> None:
        """Send events, and wait until the lookup has all of them."""
        with RawFeed(self._system.bootstrap_servers) as feed:
            for labelled in events:
                feed.send(labelled.event["channel"], encode(labelled.event))
            self.sent += feed.sent
        asyncio.run(self._caught_up())

    async def _caught_up(self) -> None:
        async with _session() as session:
            await Lookup(session, self._system.lookup_url).caught_up(time.monotonic() + _CAUGHT_UP_SECONDS_MAX)

    def customers(self) -> dict[EventKey, Hashable | None]:
        """The customer of each event; None for those under an identifier that is nobody's."""
        fragments: dict[EventKey, str] = {}

        def take(record: Record) -> None:
            if record.value is not None:
                value = json.loads(record.value)
                fragments[value["source"], value["id"]] = value["fragment"]

        topic = f"{DEFAULT_PREFIX}{Topic.INTERACTIONS}"
        kafka = KafkaOptions(self._system.bootstrap_servers)
        read_topics(kafka, {topic: Catalogue().partitions_of(Topic.INTERACTIONS)}, take)
        owners = asyncio.run(self._owners(sorted(set(fragments.values()))))
        return {event: owners[fragment] for event, fragment in fragments.items()}

    async def _owners(self, fragments: Sequence[str]) -> dict[str, str | None]:
        owners: dict[str, str | None] = {}
        async with _session() as session:
            for start in range(0, len(fragments), _LOOKUPS_TOGETHER):
                some = fragments[start : start + _LOOKUPS_TOGETHER]
                found = await asyncio.gather(*(self._owner(session, fragment) for fragment in some))
                owners.update(zip(some, found, strict=True))
        return owners

    async def _owner(self, session: aiohttp.ClientSession, fragment: str) -> str | None:
        """Whose a fragment is: its own, somebody's to whom the answer redirects, or nobody's."""
        url = f"{self._system.lookup_url}/v1/customers/{fragment}/context"
        async with session.get(url, allow_redirects=False) as answer:
            if answer.status == 200:
                return fragment
            if answer.status == 308:
                return answer.headers["Location"].split("/")[3]
            if answer.status == 410:
                return None
            raise RestartNeeded(f"{url} answered {answer.status} {await answer.text()}")

    def expose(self, asking: Asking, asks: Sequence[Ask], min_grade: str, exposures: Exposures) -> None:
        """Ask all of it, and count what was shown under every heading that it belongs to."""
        asyncio.run(self._expose(asking, asks, min_grade, exposures))

    async def _expose(self, asking: Asking, asks: Sequence[Ask], min_grade: str, exposures: Exposures) -> None:
        async with _session() as session:
            for start in range(0, len(asks), _LOOKUPS_TOGETHER):
                some = asks[start : start + _LOOKUPS_TOGETHER]
                shown = await asyncio.gather(*(self._show(session, ask.identifier, min_grade) for ask in some))
                for ask, traits in zip(some, shown, strict=True):
                    exposures.judge(asking, ask, traits)

    async def _show(
        self, session: aiohttp.ClientSession, identifier: Identifier, min_grade: str
    ) -> list[ShownTrait] | None:
        question = {"identifiers": [identifier._asdict()], "min_grade": min_grade}
        async with session.post(f"{self._system.lookup_url}/v1/lookup", json=question) as answer:
            if answer.status in (404, 409, 410):
                return None
            body = await answer.json(content_type=None)
            if answer.status != 200:
                raise RestartNeeded(f"the lookup of a {identifier.kind} answered {answer.status}: {body}")
        return list(_traits(body["context"]["traits"]))


def _traits(shown: dict[str, Any]) -> Iterable[ShownTrait]:
    for name, trait in shown.items():
        for told in (trait, trait.get("newer_claim")):
            if told is not None and name not in _DERIVED:
                yield ShownTrait(name, told["value"], (told["source"], told["event"]))


@asynccontextmanager
async def _session() -> AsyncIterator[aiohttp.ClientSession]:
    timeout = aiohttp.ClientTimeout(total=_REQUEST_SECONDS_MAX * _LOOKUPS_TOGETHER)
    connector = aiohttp.TCPConnector(limit=CONCURRENT_REQUESTS_MAX)
    async with aiohttp.ClientSession(timeout=timeout, connector=connector) as session:
        yield session
