"""The admin service over HTTP with all that surrounds it in memory: the log, the identity engine, the copy."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import Any

import aiohttp
import msgspec

from connectors.admin.foreseeing import Foreseeing
from connectors.admin.giving import Giving
from connectors.admin.handlers import Handlers, Work
from connectors.admin.operations import DESCRIPTION, operations
from connectors.admin.order_book import OrderBook
from connectors.admin.projection import project
from connectors.admin.service import BODY_SIZE_BYTES_MAX
from connectors.admin.slow_work import SlowWork
from connectors.web.access import Access, Role
from connectors.web.limits import WebLimits
from connectors.web.server import listening
from connectors.web.service import make_service
from connectors.web.standard import ReadyReport
from schemas.clock import ManualClock
from schemas.identity_policy import DEFAULT_POLICY, Grade, Policy
from schemas.messages import encode
from schemas.rows import PositionRow, encode_row
from schemas.topics import POSITION_KEY, Catalogue, Topic
from state.engine import MemoryRows
from state.identity.engine import IdentityEngine
from streams import bulk
from streams.metrics import Metrics
from streams.producer import Record
from streams.recording_producer import RecordingProducer
from tests.state.identity.driving import KEYRING, evidence, identifier

NOW_US = 20_000 * 86_400_000_000


class CopiedRows(MemoryRows):
    """Rows in memory of which a moment can be kept."""

    @contextmanager
    def frozen(self) -> Iterator[MemoryRows]:
        """A copy."""
        yield MemoryRows(self.rows)


class Reply(msgspec.Struct):
    """An answer."""

    status: int
    body: Any
    headers: dict[str, str]


class World:
    """One admin service. `decide` is the worker: it reads the log up to its end, and the copy follows it."""

    def __init__(self, policy: Policy = DEFAULT_POLICY, *, clock: ManualClock | None = None) -> None:
        self.keyring = KEYRING
        self.policy = policy
        self.catalogue = Catalogue(partitions=1)
        self.clock = clock or ManualClock(NOW_US)
        self.producer = RecordingProducer(self.catalogue)
        self.rows = CopiedRows()
        self.work = Work(SlowWork(), SlowWork())
        self.reasons: tuple[str, ...] = ()
        #: While set, the last chunk of each transaction, which has the position, has not come yet.
        self.is_cut_short = False
        self._log = MemoryRows()
        self._engine = IdentityEngine(self._log, KEYRING.unseal, policy)
        self._decided = 0
        self.url = ""
        self._session: aiohttp.ClientSession | None = None

    def show(self, *items: str, source: str = "shop", name: str = "e", grade: Grade = Grade.CLAIMED) -> None:
        """An event shows these identifiers together."""
        message = evidence(map(identifier, items), source=source, name=name, time=NOW_US, grade=grade)
        topic = self.catalogue.name(Topic.EVIDENCE)
        self.producer.records.append(Record(topic, None, encode(message), (), 0))
        self.decide()

    def decide(self, transactions: int | None = None) -> None:
        """Take in what was written to the log; what the engine says to itself, too. `transactions`: so many at most."""
        while self._decided < len(self.producer.records) and transactions != 0:
            record = self.producer.records[self._decided]
            self._engine.apply(record.value or b"", self._decided)
            self._decided += 1
            drained = self._engine.drain()
            self._log.write(drained.rows)
            self._engine.settled()
            for output in drained.outputs:
                if output.topic == Topic.EVIDENCE:
                    self.producer.records.append(Record(record.topic, output.key, output.value, (), 0))
            position = encode_row(PositionRow("topic", 1, 0, self._decided))
            self._follow({**drained.rows, POSITION_KEY: position})
            transactions = None if transactions is None else transactions - 1

    def _follow(self, rows: dict[bytes, bytes | None]) -> None:
        topic = self.catalogue.name(Topic.LINKS)
        records = [bulk.Record(topic, 0, 0, 0, key, value) for key, value in rows.items()]
        # A transaction may come in several chunks.
        for record in records[: -1 if self.is_cut_short else None]:
            self.rows.write(project([record], self.rows))

    def customer(self, text: str) -> str:
        """The customer that the identifier is in, as the engine's rows say."""
        from connectors.admin.customers import Places

        return Places(self._log, KEYRING, self.policy).owner(KEYRING.fragment_id(identifier(text)))

    @asynccontextmanager
    async def serving(self, access: Access | None = None) -> AsyncIterator["World"]:
        """Answer on a free port while the context is open."""
        handlers = Handlers(
            self.rows,
            KEYRING,
            self.policy,
            giving=Giving(OrderBook(self.rows), self.producer, self.catalogue, self.clock),
            foreseeing=Foreseeing(self.rows, KEYRING, self.policy),
            work=self.work,
            ready=self.ready,
        )
        application = make_service(
            "admin",
            operations(handlers),
            description=DESCRIPTION,
            metrics=Metrics("admin", "1"),
            version="1",
            ready=self.ready,
            limits=WebLimits(body_size_bytes=BODY_SIZE_BYTES_MAX),
            access=access or Access(role=Role.ADMIN),
        )
        application.on_response_prepare.append(handlers.complete_headers)
        async with listening(application, "127.0.0.1", 0) as (host, port), aiohttp.ClientSession() as session:
            self.url, self._session = f"http://{host}:{port}", session
            yield self
        for work in self.work:
            work.close()

    def ready(self) -> ReadyReport:
        """As the test says."""
        return ReadyReport(self.reasons)

    async def ask(self, method: str, path: str, body: Any = None, token: str | None = None) -> Reply:
        """One request; a body that is bytes is sent as it is."""
        assert self._session is not None
        data = None if body is None else body if isinstance(body, bytes) else msgspec.json.encode(body)
        headers = {} if data is None else {"Content-Type": "application/json"}
        if token is not None:
            headers["Authorization"] = f"Bearer {token}"
        async with self._session.request(method, self.url + path, data=data, headers=headers) as answer:
            text = await answer.read()
            return Reply(answer.status, msgspec.json.decode(text) if text else None, dict(answer.headers))

    async def give(self, order: str, *items: str, wait: float = 0, token: str | None = None, **more: Any) -> Reply:
        """Give an order about these identifiers; with `wait` the worker decides meanwhile."""
        body: dict[str, Any] = {"order": order, **more}
        if items:
            body["identifiers"] = [asked(item) for item in items]
        if not more.get("dry_run"):
            body = {"reason": "a test", "author": "tester"} | body
        body = {name: value for name, value in body.items() if value is not None}
        return await self._meanwhile(f"/v1/orders?wait={wait}" if wait else "/v1/orders", body, wait, token)

    async def undo(self, order: str, wait: float = 0, **more: Any) -> Reply:
        """Take an order back; with `wait` the worker decides meanwhile."""
        body = {"reason": "a test", "author": "tester"} | more
        return await self._meanwhile(f"/v1/orders/{order}/undo?wait={wait}", body, wait, None)

    async def _meanwhile(self, path: str, body: Any, wait: float, token: str | None) -> Reply:
        asking = asyncio.create_task(self.ask("POST", path, body, token))
        while wait and not asking.done():
            self.decide()
            await asyncio.sleep(0.005)
        return await asking


def asked(text: str) -> dict[str, str]:
    """`kind:value`, or `kind@namespace:value`, as a body names it."""
    item = identifier(text)
    namespace = {} if item.namespace == "default" else {"namespace": item.namespace}
    return {"kind": item.kind, "value": item.value, **namespace}


def values(customers: list[dict[str, Any]]) -> list[set[str]]:
    """The plain values of each customer of an answer."""
    return [{member["value"] for member in customer["members"]} for customer in customers]
