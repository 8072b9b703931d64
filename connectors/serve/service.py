"""The lookup as a process: its copy, its follower, its watch on freshness, its socket.

It listens at once and answers 503 until it has caught up, so that whoever supervises it sees it live while the broker
is still away. What a restart or an operator has to heal ends the process with that error.
"""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from aiohttp import web

from connectors.serve.answers import Answers
from connectors.serve.copy_figures import CopyFigures
from connectors.serve.explaining.explanations import Explanations
from connectors.serve.explaining.handlers import ExplainHandlers
from connectors.serve.finding import Finder
from connectors.serve.fragments import FragmentContexts
from connectors.serve.handlers import CONFIRM_TIMEOUT_SECONDS, Handlers
from connectors.serve.interaction_rows import Retention
from connectors.serve.layout import LAYOUT_VERSION, LINKS_PREFIX, LookupRows, position_key
from connectors.serve.operations import DESCRIPTION, operations
from connectors.serve.page.activity import Activity
from connectors.serve.page.dead_watch import DeadTopic, DeadWatch
from connectors.serve.page.operations import Page, PageSources, make_page
from connectors.serve.projection import FOLLOWED, Projection, is_projected_state
from connectors.serve.short_answers import ShortAnswers
from connectors.serve.timeline import Timeline
from connectors.web.access import Access, Role
from connectors.web.limits import WebLimits
from connectors.web.server import serve
from connectors.web.service import make_service
from connectors.web.short_way import SHORT_FIND
from connectors.web.standard import ReadyReport
from schemas.clock import Clock, SystemClock
from schemas.keys import Keyring
from schemas.rows import PositionRow, RowDecoder
from schemas.topics import PUBLIC_TOPICS, Catalogue, Topic
from state.join import JoinRules
from state.store import Store
from state.store_cache import shared_cache
from streams.followed_copy import FollowedCopy
from streams.follower import Follower
from streams.freshness import INTERVAL_SECONDS, Freshness, FreshnessOptions, Positions
from streams.kafka import KafkaOptions
from streams.metrics import Metrics
from streams.store_state import open_copy
from streams.verified_topics import topics_verified
from streams.wire_reader import WireReader, reading_wire

NAME: Final = "lookup"
#: Questions are small: sixteen identifiers and a grade.
BODY_SIZE_BYTES_MAX: Final = 64 * 1024
CACHE_SIZE_BYTES: Final = 128 * 1024 * 1024
PORT_SETTING: Final = "GOLDENTHREAD_LOOKUP_PORT"
_POSITION_ROW: Final = RowDecoder(PositionRow)


@dataclass(frozen=True, kw_only=True)
class LookupOptions:
    """What one lookup is started with.

    Attributes:
        kafka: The brokers.
        catalogue: The topics.
        group_id: The workers' consumer group, for freshness.
        data_dir: The copy is kept in a folder below it; replicas on one machine need one each.
        rules: The identity policy and how contexts are joined, the same as the workers'.
        version: The program's version.
        host: Address to listen on.
        port: Port to listen on, 0 for any free one.
        port_setting: How the users call the port, for errors.
        retention: How many interactions are kept.
        cache_size_bytes: For blocks of the copy.
        wire: Reads public records, JSON or Avro.
        probe_interval_s: How often freshness is looked at when nobody asks.
        confirm_timeout_s: How long an answer waits to see that nothing waits.
        limits: Bounds of requests and connections.
        access: Who may ask; everybody where nothing is given.
        page: Whether `/` shows the page for people.
    """

    kafka: KafkaOptions
    catalogue: Catalogue
    group_id: str
    data_dir: Path
    rules: JoinRules
    version: str
    host: str = "127.0.0.1"
    port: int = 8080
    port_setting: str = PORT_SETTING
    retention: Retention = field(default_factory=Retention)
    cache_size_bytes: int = CACHE_SIZE_BYTES
    wire: WireReader = field(default_factory=lambda: WireReader(None))
    probe_interval_s: float = INTERVAL_SECONDS
    confirm_timeout_s: float = CONFIRM_TIMEOUT_SECONDS
    limits: WebLimits = field(default_factory=lambda: WebLimits(body_size_bytes=BODY_SIZE_BYTES_MAX))
    access: Access = field(default_factory=lambda: Access(role=Role.LOOKUP))
    page: bool = True

    @property
    def store_path(self) -> Path:
        """The copy's folder. A version that packs rows differently has another, and builds its copy anew."""
        return self.data_dir / f"{NAME}-{LAYOUT_VERSION}"


async def run_lookup(
    options: LookupOptions,
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
        RegistryRefused: public records are Avro, and no schema registry is configured, or one without their schemas.
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
        lookup = Lookup(options, keyring, metrics, store, clock or SystemClock())
        # 2. Listen; what follows runs beside it, and whatever ends first ends both.
        socket = asyncio.create_task(
            serve(
                lookup.application(),
                options.host,
                options.port,
                setting_name=options.port_setting,
                on_listening=on_listening,
            )
        )
        following = asyncio.create_task(lookup.follow())
        try:
            done, _ = await asyncio.wait({socket, following}, return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                task.result()
        finally:
            for task in (socket, following):
                task.cancel()
            await asyncio.gather(socket, following, return_exceptions=True)
    finally:
        await asyncio.to_thread(store.close)


class Lookup:
    """The parts of one lookup, put together."""

    def __init__(self, options: LookupOptions, keyring: Keyring, metrics: Metrics, store: Store, clock: Clock) -> None:
        self._options = options
        self._keyring = keyring
        self._metrics = metrics
        self._store = store
        catalogue = options.catalogue
        followed = {catalogue.name(topic): catalogue.partitions_of(topic) for topic in FOLLOWED}
        consumed = catalogue.read_by_workers()
        self._clock = clock
        self._activity = Activity(catalogue.channels)
        projection = Projection(catalogue, clock, options.retention, self._activity.add)
        self._figures = CopyFigures(store, projection.interactions, metrics, clock)
        self._follower = Follower(
            NAME,
            kafka=options.kafka,
            topics=followed,
            store=store,
            project=reading_wire(projection, options.wire, (catalogue.name(topic) for topic in PUBLIC_TOPICS)),
            metrics=metrics,
            clock=clock,
            on_visible=self._figures.observe_visible,
            wanted={catalogue.name(Topic.STATE): is_projected_state},
            on_forgotten=projection.forget,
        )
        self._copy = FollowedCopy(NAME, self._follower, store, keyring, LINKS_PREFIX)
        self._freshness = Freshness(
            FreshnessOptions(options.kafka, options.group_id, consumed, followed, options.probe_interval_s),
            applied=applied_positions(store, catalogue),
            followed=followed_positions(store),
            metrics=metrics,
            clock=clock,
        )

    def application(self) -> web.Application:
        """The HTTP service; it reads the copy and may be asked before that is complete."""
        finder = Finder(self._store, self._keyring, self._options.rules.policy)
        answers = Answers(finder, FragmentContexts(self._store, self._options.rules))
        timeline = Timeline(self._store, finder)
        explanations = Explanations(self._store.frozen, self._keyring, self._options.rules)
        page = self._page(finder, answers, timeline, explanations) if self._options.page else None
        handlers = Handlers(
            answers,
            timeline,
            freshness=self._freshness,
            ready=self.ready,
            metrics=self._metrics,
            confirm_timeout_s=self._options.confirm_timeout_s,
        )
        application = make_service(
            NAME,
            (
                *operations(handlers, ExplainHandlers(explanations, finder, handlers)),
                *(() if page is None else page.operations),
            ),
            description=DESCRIPTION,
            metrics=self._metrics,
            version=self._options.version,
            ready=self.ready,
            limits=self._options.limits,
            access=self._options.access,
        )
        application.on_response_prepare.append(handlers.complete_headers)
        short = ShortAnswers(answers, freshness=self._freshness, ready=self.ready, metrics=self._metrics)
        application[SHORT_FIND] = short.find
        if page is not None:
            page.live.attach(application)
        return application

    def _page(self, finder: Finder, answers: Answers, timeline: Timeline, explanations: Explanations) -> Page:
        dead = DeadTopic(self._options.kafka, self._options.catalogue.name(Topic.DEAD), self._clock)
        return make_page(
            PageSources(
                rows=self._store,
                finder=finder,
                answers=answers,
                timeline=timeline,
                explanations=explanations,
                keyring=self._keyring,
                policy=self._options.rules.policy,
                activity=self._activity,
                freshness=self._freshness,
                dead=DeadWatch(dead, close=dead.close),
                ready=self.ready,
                metrics=self._metrics,
                access=self._options.access,
                clock=self._clock,
            )
        )

    def ready(self) -> ReadyReport:
        """Ready once the copy was complete, its secret is right, and freshness is known; not while it is made anew."""
        return ReadyReport(self._copy.reasons)

    async def follow(self) -> None:
        """Keep the copy up to date; ends only by an error or by cancellation.

        Raises:
            GoldenthreadError: what stopped the follower.
        """
        await topics_verified(NAME, self._options.kafka, self._options.catalogue)
        self._copy.begun()
        self._follower.start()
        self._freshness.start()
        try:
            await self._copy.watch(look=self._figures.refresh, known=lambda: self._freshness.known)
        finally:
            await asyncio.to_thread(self._stop)

    def _stop(self) -> None:
        self._freshness.stop()
        self._follower.stop()


def applied_positions(rows: LookupRows, catalogue: Catalogue) -> Positions:
    """How far the stateful agents have come, by the position rows in their changelogs."""
    topics = {catalogue.name(topic): topic for topic in (Topic.ROUTED, Topic.EVIDENCE)}

    def applied(topic: str, partition: int) -> int | None:
        encoded = rows.get(position_key(topics[topic], partition)) if topic in topics else None
        return None if encoded is None else _POSITION_ROW.decode(encoded).next_offset

    return applied


def followed_positions(store: Store) -> Positions:
    """How far the copy is; what is before these positions is visible in it."""

    def followed(topic: str, partition: int) -> int | None:
        position = store.position(topic, partition)
        # One of no topic is that of a copy that is being thrown away.
        return None if position is None or not position.topic_id else position.next_offset

    return followed
