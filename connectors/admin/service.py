"""The admin service as a process: its copy, its follower, its producer, its socket.

It listens at once and answers 503 until it has caught up. What a restart or an operator has to heal ends the process
with that error.
"""

import asyncio
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from aiohttp import web

from connectors.admin.foreseeing import Foreseeing
from connectors.admin.giving import Giving
from connectors.admin.handlers import Handlers, Work
from connectors.admin.layout import LAYOUT_VERSION
from connectors.admin.operations import DESCRIPTION, operations
from connectors.admin.order_book import OrderBook
from connectors.admin.projection import project
from connectors.admin.slow_work import SEARCH_DEADLINE_SECONDS, SlowWork
from connectors.web.access import Access, Role
from connectors.web.limits import WebLimits
from connectors.web.server import serve
from connectors.web.service import make_service
from connectors.web.standard import ReadyReport
from schemas.clock import Clock, SystemClock
from schemas.identity_policy import Policy
from schemas.keys import Keyring
from schemas.rows import LINK_ROW_PREFIX
from schemas.topics import Catalogue, Topic
from state.store import Store
from state.store_cache import shared_cache
from streams.followed_copy import FollowedCopy
from streams.follower import Follower
from streams.kafka import KafkaOptions
from streams.metrics import Metrics
from streams.producer import DeliveringProducer, RecordProducer
from streams.store_state import open_copy
from streams.verified_topics import topics_verified

NAME: Final = "admin"
#: Orders are small: two identifiers, a reason and a name.
BODY_SIZE_BYTES_MAX: Final = 64 * 1024
#: People ask, not machines: most of what they ask for is read from the disk.
CACHE_SIZE_BYTES: Final = 48 * 1024 * 1024
PORT_SETTING: Final = "GOLDENTHREAD_ADMIN_PORT"
#: A search reads everything, so whoever comes third had better come back later.
SEARCHES_WAITING_MAX: Final = 2
#: Somebody waits for the answer: past this they are told that the order may not have been given.
DELIVERY_TIMEOUT_MS: Final = 10_000
#: Orders come one by one, so that there is nothing to wait for.
LINGER_MS: Final = 0
# How long a stop waits for orders that no request waits for any more.
_CLOSE_TIMEOUT_SECONDS: Final = 5.0


@dataclass(frozen=True, kw_only=True)
class AdminOptions:
    """What one admin service is started with.

    Attributes:
        kafka: The brokers.
        catalogue: The topics.
        data_dir: The copy is kept in a folder below it; replicas on one machine need one each.
        policy: How identifiers are normalised, the same as the workers' and the lookup's.
        version: The program's version.
        host: Address to listen on.
        port: Port to listen on, 0 for any free one.
        port_setting: How the users call the port, for errors.
        cache_size_bytes: For blocks of the copy.
        limits: Bounds of requests and connections.
        access: Who may ask; everybody where nothing is given.
    """

    kafka: KafkaOptions
    catalogue: Catalogue
    data_dir: Path
    policy: Policy
    version: str
    host: str = "127.0.0.1"
    port: int = 8070
    port_setting: str = PORT_SETTING
    cache_size_bytes: int = CACHE_SIZE_BYTES
    limits: WebLimits = field(default_factory=lambda: WebLimits(body_size_bytes=BODY_SIZE_BYTES_MAX))
    access: Access = field(default_factory=lambda: Access(role=Role.ADMIN))

    @property
    def store_path(self) -> Path:
        """The copy's folder. A version that packs rows differently has another, and builds its copy anew."""
        return self.data_dir / f"{NAME}-{LAYOUT_VERSION}"


async def run_admin(
    options: AdminOptions,
    keyring: Keyring,
    metrics: Metrics,
    *,
    clock: Clock | None = None,
    on_listening: Callable[[str, int], None] | None = None,
) -> None:
    """Answer until SIGTERM, SIGINT or cancellation.

    1. Open the copy. 2. Listen. 3. Wait for the broker and verify the topics. 4. Follow. 5. After the first catch-up
    verify the secret, and answer.

    Raises:
        StateError: the copy is another process's or another secret's, or the log lost what it needs.
        TopicError: a topic is missing or not as the catalogue says.
        SecretError: the topics were written with another secret.
        SettingError: the address can't be listened on.
        LoginRefused: the broker refuses this client.
        RestartNeeded: the producer can't go on.
    """
    # 1. Open the copy.
    cache = shared_cache(options.cache_size_bytes)
    store = await asyncio.to_thread(
        open_copy,
        options.store_path,
        name=NAME,
        secret_fingerprint=keyring.fingerprint,
        cache=cache,
        metrics=metrics,
    )
    try:
        metrics.expect_written([options.catalogue.name(Topic.EVIDENCE)])
        producer = DeliveringProducer(
            options.kafka, options.catalogue, metrics, linger_ms=LINGER_MS, delivery_timeout_ms=DELIVERY_TIMEOUT_MS
        )
        admin = Admin(options, keyring, metrics, store=store, producer=producer, clock=clock or SystemClock())
        # 2. Listen; what follows runs beside it, and whatever ends first ends both.
        await serve(
            admin.application(),
            options.host,
            options.port,
            setting_name=options.port_setting,
            on_listening=on_listening,
            alongside=[admin.follow],
        )
    finally:
        await asyncio.to_thread(store.close)


class Admin:
    """The parts of one admin service, put together."""

    def __init__(
        self,
        options: AdminOptions,
        keyring: Keyring,
        metrics: Metrics,
        *,
        store: Store,
        producer: RecordProducer,
        clock: Clock,
    ) -> None:
        self._options = options
        self._keyring = keyring
        self._metrics = metrics
        self._store = store
        self._producer = producer
        self._clock = clock
        catalogue = options.catalogue
        self._follower = Follower(
            NAME,
            kafka=options.kafka,
            topics={catalogue.name(Topic.LINKS): catalogue.partitions_of(Topic.LINKS)},
            store=store,
            project=project,
            metrics=metrics,
            clock=clock,
        )
        self._copy = FollowedCopy(NAME, self._follower, store, keyring, LINK_ROW_PREFIX)
        self._work = Work(SlowWork(), SlowWork(waiting_max=SEARCHES_WAITING_MAX, deadline_s=SEARCH_DEADLINE_SECONDS))

    def application(self) -> web.Application:
        """The HTTP service; stopping it closes the producer, after the last request."""
        options = self._options
        handlers = Handlers(
            self._store,
            self._keyring,
            options.policy,
            giving=Giving(OrderBook(self._store), self._producer, options.catalogue, self._clock),
            foreseeing=Foreseeing(self._store, self._keyring, options.policy),
            work=self._work,
            ready=self.ready,
        )
        application = make_service(
            NAME,
            operations(handlers),
            description=DESCRIPTION,
            metrics=self._metrics,
            version=options.version,
            ready=self.ready,
            limits=options.limits,
            access=options.access,
        )
        application.on_response_prepare.append(handlers.complete_headers)
        application.cleanup_ctx.append(self._closing)
        return application

    def ready(self) -> ReadyReport:
        """Ready once the copy was complete and its secret is right; not while it is made anew."""
        return ReadyReport(self._copy.reasons)

    async def follow(self) -> None:
        """Keep the copy up to date; ends only by an error or by cancellation.

        Raises:
            GoldenthreadError: what stopped the follower or the producer.
        """
        await topics_verified(NAME, self._options.kafka, self._options.catalogue)
        self._copy.begun()
        self._follower.start()
        try:
            await self._copy.watch(look=self._producer.verify_usable)
        finally:
            await asyncio.to_thread(self._follower.stop)

    async def _closing(self, _application: web.Application) -> AsyncIterator[None]:
        yield
        for work in self._work:
            work.close()
        await asyncio.to_thread(self._producer.close, _CLOSE_TIMEOUT_SECONDS)
