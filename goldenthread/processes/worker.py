"""The worker process: all agents in one Faust application, a follower of identity's links, and metrics over HTTP."""

import asyncio
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from importlib.metadata import version
from typing import Final

from agents import context, identity, intake
from agents.known_evidence import KnownEvidence, project_evidence
from connectors.web.access import Role
from connectors.web.server import listening
from connectors.web.service import make_service
from connectors.web.standard import ReadyReport
from goldenthread.access import make_access
from goldenthread.folding import compiled_library
from goldenthread.parts import Parts
from goldenthread.processes.gap_watch import GapWatch
from goldenthread.processes.policy_watch import PolicyWatch
from goldenthread.processes.running import end_within
from goldenthread.processes.worker_snapshot import WorkerSnapshots
from goldenthread.processes.worker_wire import WAITING, WorkerWire
from goldenthread.secret import installation_name
from goldenthread.settings import variable_name
from goldenthread.stage_options import context_factory, stage_options
from goldenthread.stores import LINKS
from schemas.enrichment.enrichment import Enrichment
from schemas.enrichment.names import enricher_names
from schemas.errors import BrokerUnreachable, OperatorNeeded, RestartNeeded
from schemas.topics import Topic
from state.identity.guard import Thresholds
from state.store import Store
from state.store_cache import shared_cache
from streams.application import Application, ApplicationOptions, make_app
from streams.broker.directory_lock import DirectoryLock
from streams.faults import fault_hook
from streams.follower import Follower
from streams.idle_ends import group_idle_ends
from streams.logs import logger
from streams.metrics import Metrics
from streams.partition import CheckpointPolicy, EngineFactory
from streams.producer import DeliveringProducer
from streams.stage import StatefulStage
from streams.stateless import StatelessStage
from streams.store_state import open_copy
from streams.topics import wait_for_broker
from streams.watchdog import KafkaBroker, Watchdog, WatchdogOptions

log = logger(__name__)

# The broker may come long after the worker; until then the worker waits.
BROKER_WAIT_SECONDS: Final = 3600.0
# Intake waits for its follower, or it would tell identity everything once more.
FOLLOWER_WAIT_SECONDS: Final = 1800.0
FOLDER_WAIT_SECONDS: Final = 5.0
# Intake flushes what belongs together, which waits for nothing; until then it is not sent in pieces.
INTAKE_LINGER_MS: Final = 25
PRODUCER_CLOSE_SECONDS: Final = 5.0
_FOLLOWER_POLL_SECONDS: Final = 0.1
# A broker that answers one question and not the next is asked again after this long.
_ASK_AGAIN_SECONDS: Final = 1.0
# What the watchdog ends has this long for an orderly end; a blocked event loop has none.
_WATCHDOG_GRACE_SECONDS: Final = 10.0
# Threads beside those that each partition may keep busy with its restore or its commit.
_SPARE_THREADS: Final = 16
EVIDENCE_ROWS_RATIO: Final = 20
_OUTCOMES: Final = {
    intake.STAGE: intake.OUTCOMES,
    identity.STAGE: identity.OUTCOMES,
    context.STAGE: context.OUTCOMES,
}


class Worker:
    """One worker process."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts
        self._access = make_access(parts.settings, Role.METRICS)
        self._metrics = Metrics("worker", version("goldenthread"))
        self._metrics.expect_dead([intake.STAGE], parts.catalogue.channels)
        self._metrics.expect_dead(_OUTCOMES, ())
        self._metrics.expect_agents(_OUTCOMES, (identity.STAGE, context.STAGE))
        self._metrics.expect_written(parts.catalogue.name(topic) for topic in Topic)
        self._metrics.expect_enrichments(enricher_names(parts.settings.enrichers))
        self._cache = shared_cache(parts.settings.store_cache_size_bytes)
        self._wire = WorkerWire(parts)
        self._gaps = GapWatch(parts)
        self._reasons: tuple[str, ...] = ("the worker waits for the broker",)

    async def run(self, stopping: asyncio.Event) -> None:
        """Run until `stopping` is set.

        1. Answer probes and metrics, and have the worker's folder for this process alone. 2. Wait for the broker and
        verify topics and offsets. 3. Wait for the schema registry, where there is one. 4. Catch up with identity's
        links, and hold the identity file to the policy in force. 5. Run the agents.

        Raises:
            GoldenthreadError: what ended it; its exit code says whether a restart may help.
        """
        settings = self._parts.settings
        snapshots = WorkerSnapshots(settings.worker_dir, self._metrics.stores)
        # Step 1.
        service = make_service(
            "worker",
            (snapshots.operation,),
            description="Metrics and probes of a Goldenthread worker, and copies of its stores.",
            metrics=self._metrics,
            version=version("goldenthread"),
            ready=lambda: ReadyReport((*self._reasons, *self._wire.reasons)),
            access=self._access,
        )
        port = settings.worker_port + settings.worker_index
        # A restore takes a thread for minutes: no commit of another partition waits for it.
        threads = ThreadPoolExecutor(_SPARE_THREADS + 2 * settings.partitions, thread_name_prefix="worker")
        asyncio.get_running_loop().set_default_executor(threads)
        async with listening(service, settings.host, port, setting_name="GOLDENTHREAD_WORKER_PORT"):
            # The one before it, if it was killed, may take a moment to be gone.
            folder = DirectoryLock(settings.worker_dir, setting=variable_name("data_dir"), wait_s=FOLDER_WAIT_SECONDS)
            await asyncio.to_thread(folder.acquire)
            try:
                await asyncio.to_thread(snapshots.forget)
                await self._run_in_folder(stopping)
            finally:
                folder.release()

    async def _run_in_folder(self, stopping: asyncio.Event) -> None:
        # Step 2.
        if not await _unless(stopping, asyncio.create_task(asyncio.to_thread(self._verify))):
            return
        # Step 3.
        self._reasons = (WAITING,)
        if not await _unless(stopping, asyncio.create_task(self._wire.settle())):
            return
        # Step 4.
        store, follower = self._follow()
        try:
            self._reasons = ("the worker catches up with identity's links",)
            if await _unless(stopping, asyncio.create_task(_caught_up(follower))):
                policy = PolicyWatch(self._parts, store, self._metrics)
                self._parts = policy.settle()
                # Step 5.
                await self._run_agents(follower, policy, KnownEvidence(store), stopping)
        finally:
            self._wire.close()
            await asyncio.to_thread(follower.stop)
            store.close()

    def _verify(self) -> None:
        """Wait for the broker, and then until it answers all that is asked: it may be about to come up, or to go."""
        deadline = time.monotonic() + BROKER_WAIT_SECONDS
        while True:
            wait_for_broker(self._parts.kafka, BROKER_WAIT_SECONDS)
            try:
                self._gaps.verify()
            except BrokerUnreachable as error:
                if time.monotonic() > deadline:
                    raise
                log.warning("the broker answers, but not all that is asked; it is asked again", reason=str(error))
                time.sleep(_ASK_AGAIN_SECONDS)
            else:
                return

    def _follow(self) -> tuple[Store, Follower]:
        parts = self._parts
        store = open_copy(
            parts.settings.worker_dir / LINKS,
            name=LINKS,
            secret_fingerprint=parts.keyring.fingerprint,
            cache=self._cache,
            metrics=self._metrics,
        )
        follower = Follower(
            LINKS,
            kafka=parts.kafka,
            topics={parts.catalogue.name(Topic.LINKS): 1},
            store=store,
            project=project_evidence,
            metrics=self._metrics,
        )
        follower.start()
        return store, follower

    async def _run_agents(
        self, follower: Follower, policy: PolicyWatch, known: KnownEvidence, stopping: asyncio.Event
    ) -> None:
        parts = self._parts
        settings = parts.settings
        options = ApplicationOptions(
            parts.kafka,
            settings.application,
            settings.worker_dir,
            session_timeout_s=settings.session_timeout_s,
            # Two machines may both have a worker 0: the data directory tells them apart.
            instance_id=f"{settings.application}-{installation_name(settings)}-{settings.worker_index}",
            topic_ids=self._gaps.topic_ids,
            read_ahead_size_bytes_max=settings.read_ahead_size_bytes_max,
        )
        application = Application(make_app(options), self._metrics)
        producer = DeliveringProducer(
            parts.kafka, parts.catalogue, self._metrics, linger_ms=INTAKE_LINGER_MS, failures_only=True
        )
        application.add(
            self._intake_stage(application, known, producer),
            records_per_second_max=settings.intake_events_per_second_max or None,
        )
        identity_factory = identity.identity_engines(
            catalogue=parts.catalogue,
            keyring=parts.keyring,
            policy=parts.policy,
            metrics=self._metrics,
            thresholds=Thresholds(
                settings.alarm_cluster_identifiers, settings.alarm_gained_per_hour, settings.alarm_shared_per_hour
            ),
        )
        application.add(self._stateful_stage(application, identity.STAGE, identity_factory))
        engines = context_factory(parts, self._metrics, first_policy=policy.first)
        application.add(self._stateful_stage(application, context.STAGE, engines))
        self._reasons = ("the worker takes its place in the group",)
        watchdog = self._watchdog(application)
        watchdog.start()
        beside = [
            asyncio.create_task(self._ready_when_joined(application)),
            asyncio.create_task(_watch(follower, application)),
            asyncio.create_task(self._wire.keep_asking(application.fatal)),
            asyncio.create_task(self._gaps.watch(application.fatal)),
            asyncio.create_task(policy.watch(application.fatal)),
        ]
        try:
            await application.run(stopping)
        except OperatorNeeded as error:
            await self._gaps.explain(error)
        finally:
            watchdog.stop()
            for task in beside:
                task.cancel()
            producer.close(PRODUCER_CLOSE_SECONDS)

    def _watchdog(self, application: Application) -> Watchdog:
        parts, loop = self._parts, asyncio.get_running_loop()

        def bark(error: RestartNeeded) -> None:
            loop.call_soon_threadsafe(application.fatal, error)
            threading.Thread(target=end_within, args=(_WATCHDOG_GRACE_SECONDS, str(error)), daemon=True).start()

        return Watchdog(
            WatchdogOptions(parts.settings.standstill_timeout_s),
            look=application.look,
            broker=KafkaBroker(parts.kafka, parts.settings.application, (parts.catalogue.name(Topic.ROUTED), 0)),
            bark=bark,
            metrics=self._metrics,
        )

    async def _ready_when_joined(self, application: Application) -> None:
        await application.joined.wait()
        self._reasons = ()

    def _intake_stage(
        self, application: Application, known: KnownEvidence, producer: DeliveringProducer
    ) -> StatelessStage:
        parts = self._parts
        handler = intake.Intake(
            catalogue=parts.catalogue,
            cleaner=parts.cleaner,
            registry=parts.registry,
            mappings=parts.mappings,
            known=known,
            enrichment=Enrichment(parts.settings.enrichers, phone_region=parts.policy.phone_region),
            metrics=self._metrics,
            read_framed=self._wire.read_framed,
            library=compiled_library(parts.settings.native, intake.STAGE),
        )
        return StatelessStage(
            intake.STAGE,
            parts.catalogue.raw_topics(),
            handler,
            catalogue=parts.catalogue,
            producer=producer,
            acknowledge=application.acknowledge,
            metrics=self._metrics,
            fatal=application.fatal,
            fault=fault_hook(parts.settings.fault, intake.STAGE),
            prepare=self._wire.prepare,
            idle_ends=lambda places: group_idle_ends(parts.kafka, parts.settings.application, places),
        )

    def _stateful_stage(self, application: Application, stage: str, engines: EngineFactory) -> StatefulStage:
        parts = self._parts
        settings = parts.settings
        options = replace(
            stage_options(parts, stage, data_dir=settings.worker_dir, metrics=self._metrics, cache=self._cache),
            fault=fault_hook(settings.fault, stage),
            wire=self._wire.wire,
        )
        # One piece of evidence may change a row for each of its pairs, twice, where an event changes two or three.
        rows_per_event = EVIDENCE_ROWS_RATIO if stage == identity.STAGE else 1
        policy = CheckpointPolicy(
            settings.checkpoint_interval_ms,
            max(1, settings.checkpoint_events_max // rows_per_event),
            settings.checkpoint_pause_ms,
        )
        return StatefulStage(
            options, engines, acknowledge=application.acknowledge, policy=policy, fatal=application.fatal
        )


async def _unless(stopping: asyncio.Event, work: "asyncio.Task[None]") -> bool:
    """Wait for the work; False when the process was told to stop before it was done."""
    stopped = asyncio.create_task(stopping.wait())
    try:
        await asyncio.wait({work, stopped}, return_when=asyncio.FIRST_COMPLETED)
    finally:
        stopped.cancel()
    if not work.done():
        work.cancel()
        return False
    await work
    return True


async def _watch(follower: Follower, application: Application) -> None:
    """End the worker when its follower has: intake would go on with what was known then."""
    while follower.failure is None:  # noqa: ASYNC110 - the follower is a thread.
        await asyncio.sleep(_FOLLOWER_POLL_SECONDS)
    application.fatal(follower.failure)


async def _caught_up(follower: Follower) -> None:
    deadline = asyncio.get_running_loop().time() + FOLLOWER_WAIT_SECONDS
    while not follower.ready:
        if follower.failure is not None:
            raise follower.failure
        if asyncio.get_running_loop().time() > deadline:
            raise RestartNeeded(f"the follower did not catch up within {FOLLOWER_WAIT_SECONDS:.0f} s")
        await asyncio.sleep(_FOLLOWER_POLL_SECONDS)
