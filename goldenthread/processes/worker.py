"""The worker process: all agents in one Faust application, a follower of identity's links, and metrics over HTTP."""

import asyncio
from importlib.metadata import version
from typing import Final

from agents import context, identity, intake
from agents.known_evidence import KnownEvidence, project_evidence
from connectors.web.access import Role
from connectors.web.server import listening
from connectors.web.service import make_service
from connectors.web.standard import ReadyReport
from goldenthread.access import make_access
from goldenthread.parts import Parts
from goldenthread.processes.worker_wire import WAITING, WorkerWire
from goldenthread.secret import installation_name
from schemas.enrichment.enrichment import Enrichment
from schemas.enrichment.names import enricher_names, with_derived
from schemas.errors import RestartNeeded
from schemas.topics import Topic
from state.store import Store, shared_cache
from streams.application import Application, ApplicationOptions, make_app
from streams.checkpoint_options import CheckpointOptions
from streams.faults import fault_hook
from streams.follower import Follower
from streams.logs import logger
from streams.metrics import Metrics
from streams.partition import CheckpointPolicy, EngineFactory
from streams.producer import DeliveringProducer
from streams.stage import StatefulStage
from streams.stateless import StatelessStage
from streams.topics import verify_group_offsets, verify_topics, wait_for_broker

log = logger(__name__)

# The broker may come long after the worker; until then the worker waits.
BROKER_WAIT_SECONDS: Final = 3600.0
# Intake waits for its follower, or it would tell identity everything once more.
FOLLOWER_WAIT_SECONDS: Final = 1800.0
INTAKE_LINGER_MS: Final = 5
PRODUCER_CLOSE_SECONDS: Final = 5.0
_FOLLOWER_POLL_SECONDS: Final = 0.1
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
        self._reasons: tuple[str, ...] = ("the worker waits for the broker",)

    async def run(self, stopping: asyncio.Event) -> None:
        """Run until `stopping` is set.

        1. Answer probes and metrics. 2. Wait for the broker and verify topics and offsets. 3. Wait for the schema
        registry, where there is one. 4. Catch up with identity's links. 5. Run the agents.

        Raises:
            GoldenthreadError: what ended it; its exit code says whether a restart may help.
        """
        settings = self._parts.settings
        # Step 1.
        service = make_service(
            "worker",
            (),
            description="Metrics and probes of a Goldenthread worker.",
            metrics=self._metrics,
            version=version("goldenthread"),
            ready=lambda: ReadyReport((*self._reasons, *self._wire.reasons)),
            access=self._access,
        )
        port = settings.worker_port + settings.worker_index
        async with listening(service, settings.host, port, setting_name="GOLDENTHREAD_WORKER_PORT"):
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
                    # Step 5.
                    await self._run_agents(follower, KnownEvidence(store), stopping)
            finally:
                self._wire.close()
                await asyncio.to_thread(follower.stop)
                store.close()

    def _verify(self) -> None:
        parts = self._parts
        wait_for_broker(parts.kafka, BROKER_WAIT_SECONDS)
        verify_topics(parts.kafka, parts.catalogue)
        raw = parts.catalogue.raw_topics()
        verify_group_offsets(parts.kafka, parts.settings.application, parts.catalogue.read_by_workers(), raw)

    def _follow(self) -> tuple[Store, Follower]:
        parts = self._parts
        store = Store.open(
            parts.settings.worker_dir / "links", secret_fingerprint=parts.keyring.fingerprint, cache=self._cache
        )
        follower = Follower(
            "links",
            kafka=parts.kafka,
            topics={parts.catalogue.name(Topic.LINKS): 1},
            store=store,
            project=project_evidence,
            metrics=self._metrics,
        )
        follower.start()
        return store, follower

    async def _run_agents(self, follower: Follower, known: KnownEvidence, stopping: asyncio.Event) -> None:
        parts = self._parts
        settings = parts.settings
        options = ApplicationOptions(
            parts.kafka,
            settings.application,
            settings.worker_dir,
            session_timeout_s=settings.session_timeout_s,
            # Two machines may both have a worker 0: the data directory tells them apart.
            instance_id=f"{settings.application}-{installation_name(settings)}-{settings.worker_index}",
        )
        application = Application(make_app(options), self._metrics)
        producer = DeliveringProducer(parts.kafka, parts.catalogue, self._metrics, linger_ms=INTAKE_LINGER_MS)
        application.add(self._intake_stage(application, known, producer))
        identity_factory = identity.identity_engines(
            catalogue=parts.catalogue, keyring=parts.keyring, policy=parts.policy, metrics=self._metrics
        )
        application.add(
            self._stateful_stage(application, identity.STAGE, identity.INPUT, identity.CHANGELOG, identity_factory)
        )
        context_factory = context.context_engines(
            catalogue=parts.catalogue,
            keyring=parts.keyring,
            policy=parts.policy,
            trusted_traits=with_derived(settings.trusted_traits),
            horizon_days=settings.dedupe_horizon_days,
            cached_rows_max=settings.cached_fragments_max,
        )
        application.add(
            self._stateful_stage(application, context.STAGE, context.INPUT, context.CHANGELOG, context_factory)
        )
        self._reasons = ("the worker takes its place in the group",)
        beside = [
            asyncio.create_task(self._ready_when_joined(application)),
            asyncio.create_task(_watch(follower, application)),
            asyncio.create_task(self._wire.keep_asking(application.fatal)),
        ]
        try:
            await application.run(stopping)
        finally:
            for task in beside:
                task.cancel()
            producer.close(PRODUCER_CLOSE_SECONDS)

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
        )

    def _stateful_stage(
        self, application: Application, stage: str, input_topic: str, changelog: str, engines: EngineFactory
    ) -> StatefulStage:
        parts = self._parts
        settings = parts.settings
        options = CheckpointOptions(
            kafka=parts.kafka,
            catalogue=parts.catalogue,
            application=settings.application,
            stage=stage,
            input_topic=input_topic,
            changelog_topic=changelog,
            data_dir=settings.worker_dir,
            secret_fingerprint=parts.keyring.fingerprint,
            metrics=self._metrics,
            cache=self._cache,
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
