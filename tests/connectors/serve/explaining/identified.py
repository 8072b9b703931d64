"""A lookup's copy of what the real identity engine decided, and the service over it."""

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, Final

import msgspec
from aiohttp import ClientResponse
from aiohttp.test_utils import TestClient, TestServer

from connectors.serve.explaining.handlers import ExplainHandlers
from connectors.serve.handlers import Handlers
from connectors.serve.operations import DESCRIPTION, operations
from connectors.web.access import Access, AccessKey, Role
from connectors.web.limits import WebLimits
from connectors.web.service import make_service
from connectors.web.standard import ReadyReport
from schemas.credentials import digest_of
from schemas.identity_policy import Grade
from schemas.messages import IdentityMessage
from schemas.roles import SHARED
from schemas.topics import Topic
from state.engine import MemoryRows
from streams.bulk import Record
from streams.metrics import Metrics
from tests.connectors.serve.support import Copy, TwoWayRows, shown
from tests.connectors.serve.test_http import Clockwork
from tests.state.identity.driving import KEYRING, DrivenEngine, fragment, identifier
from tests.state.identity.ordered_logs import order

ADMIN_KEY: Final = "gt_an-admins-key-of-sixteen-characters"
DESK_KEY: Final = "gt_a-desks-key-of-sixteen-characters"


def copied(rows: MemoryRows) -> TwoWayRows:
    """All that an engine committed, as the lookup keeps it."""
    copy = Copy(keyring=KEYRING)
    copy.put(*_records(copy, rows))
    return copy.rows


def _records(copy: Copy, rows: MemoryRows) -> Iterator[Record]:
    return (copy.record(Topic.LINKS, key, value) for key, value in rows.scan(b""))


@dataclass
class Identified:
    """An engine, and a lookup's copy of what it decided."""

    engine: DrivenEngine = field(default_factory=DrivenEngine)
    copy: Copy = field(default_factory=lambda: Copy(keyring=KEYRING))
    client: TestClient[Any, Any] | None = None
    reasons: list[str] = field(default_factory=list)
    #: Keys of rows that the copy was told.
    told: set[bytes] = field(default_factory=set)

    def show(self, *texts: str, grade: int = Grade.CLAIMED, source: str = "shop") -> None:
        """One event that shows `kind:value` texts."""
        self.engine.show(*texts, grade=grade, source=source)

    def order(self, verb: str, *texts: str, name: str, **more: Any) -> None:
        """An operator's order, or a record's."""
        given = order(verb, *map(identifier, texts), name=name, **more)
        self.take(msgspec.structs.replace(given, author="desk", reason="said so"))

    def take(self, *messages: IdentityMessage) -> None:
        """Apply messages, and repair what they ask for."""
        self.engine.take(*messages)
        self.engine.repair()

    def settle(self) -> None:
        """Bring the copy up to date; each customer has a context of its identifiers."""
        gone = self.told - self.engine.rows.rows.keys()
        self.told = set(self.engine.rows.rows)
        self.copy.put(*_records(self.copy, self.engine.rows))
        self.copy.put(*(self.copy.record(Topic.LINKS, key, None) for key in sorted(gone)))
        for name, place in self.engine.placements().items():
            if place.state != SHARED and place.owner == name:
                row = self.engine.row(name)
                value = KEYRING.unseal(row.sealed, name).value
                self.copy.context(name, shown(row.kind, value))

    def customer(self, text: str) -> str:
        """Whose an identifier is."""
        return self.engine.row(fragment(text)).owner

    async def pair(self, one: str, other: str, status: int = 200, key: str | None = None) -> Any:
        """The answer to `POST /v1/explain`."""
        question = {"identifiers": [_asked(one), _asked(other)]}
        return await self._answer("POST", "/v1/explain", status, key, json=question)

    async def get(self, path: str, status: int = 200, key: str | None = None) -> Any:
        """The answer to a GET."""
        return await self._answer("GET", path, status, key)

    async def raw(self, method: str, path: str, **more: Any) -> ClientResponse:
        """The answer as it comes; redirects are not followed."""
        assert self.client is not None
        return await self.client.request(method, path, allow_redirects=False, **more)

    async def _answer(self, method: str, path: str, status: int, key: str | None, **more: Any) -> Any:
        headers = {} if key is None else {"Authorization": f"Bearer {key}"}
        answer = await self.raw(method, path, headers=headers, **more)
        assert answer.status == status, await answer.text()
        assert answer.headers["Cache-Control"] == "private, no-store"
        return await answer.json(content_type=None)


def _asked(text: str) -> dict[str, str]:
    item = identifier(text)
    return {"kind": item.kind, "value": item.value, "namespace": item.namespace}


@asynccontextmanager
async def served(*, keys: bool = False) -> AsyncIterator[Identified]:
    """The lookup over HTTP; with keys, one of a desk and one that is an admin's as well."""
    made = Identified()
    metrics = Metrics("lookup", "1")
    ready = lambda: ReadyReport(tuple(made.reasons))  # noqa: E731 - it closes over the list.
    handlers = Handlers(made.copy.answers, made.copy.timeline, freshness=Clockwork(), ready=ready, metrics=metrics)
    explain = ExplainHandlers(made.copy.explanations, made.copy.finder, handlers)
    accesses = [
        AccessKey(name="desk", digest=digest_of(DESK_KEY), roles=frozenset({Role.LOOKUP})),
        AccessKey(name="admin", digest=digest_of(ADMIN_KEY), roles=frozenset({Role.LOOKUP, Role.ADMIN})),
    ]
    application = make_service(
        "lookup", operations(handlers, explain), description=DESCRIPTION, metrics=metrics, version="1", ready=ready,
        limits=WebLimits(body_size_bytes=4096),
        access=Access(accesses if keys else (), role=Role.LOOKUP, clock=made.copy.clock),
    )  # fmt: skip
    application.on_response_prepare.append(handlers.complete_headers)
    server = TestServer(application)
    await server.start_server(access_log=None)
    async with TestClient(server) as client:
        made.client = client
        yield made
