"""The Faust application: one consumer group, one agent per stage, and what happens when partitions come and go."""

import asyncio
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, Final

import faust
from aiokafka.errors import NoOffsetForPartitionError, OffsetOutOfRangeError
from faust.types import TP

from schemas.errors import StateError
from streams.batch import Batch
from streams.group_coordinator import heed_group_errors
from streams.kafka import PARTITION_FETCH_SIZE_BYTES_MAX, KafkaOptions
from streams.logs import logger
from streams.metrics import Metrics
from streams.read_ahead import READ_AHEAD_SIZE_BYTES_MAX, ReadAhead
from streams.stage import Stage
from streams.transport import BatchConsumer, BatchSchema, BatchTransport
from streams.watchdog import Sight

log = logger(__name__)

# Faust's commit of acknowledged offsets; positions are in the changelog, so this is for monitoring and for raw topics.
COMMIT_INTERVAL_SECONDS: Final = 0.5
# Batches that wait in a Faust stream before its agent takes them. The read-ahead bounds what they hold; where this one
# is met, Faust stops handing out the batches of every other agent too, so it is out of reach.
STREAM_BUFFER_BATCHES: Final = 100_000
COMMIT_ON_REVOKE_TIMEOUT_SECONDS: Final = 5.0
# How long the group waits for a member at a rebalance; each drains what it has within less.
REBALANCE_TIMEOUT_SECONDS: Final = 60.0
_CRASH_POLL_SECONDS: Final = 0.2


@dataclass(frozen=True)
class ApplicationOptions:
    """How the worker takes part in its consumer group."""

    kafka: KafkaOptions
    group_id: str
    data_dir: Path
    session_timeout_s: float = 10.0
    #: Static membership: a worker that comes back under its name within the session timeout causes no rebalance.
    instance_id: str | None = None
    poll_records_max: int = 20_000
    #: What is fetched and not committed yet, of all agents together.
    read_ahead_size_bytes_max: int = READ_AHEAD_SIZE_BYTES_MAX
    #: The broker's ids of the topics that are read, by their full names; committed with the offsets.
    topic_ids: Mapping[str, str] = field(default_factory=dict)


def make_app(options: ApplicationOptions) -> faust.App:
    """The Faust app with the batch transport; must be called inside of the running event loop."""
    options.data_dir.mkdir(parents=True, exist_ok=True)
    heed_group_errors()
    urls = ";".join(f"kafka://{address}" for address in options.kafka.bootstrap_servers.split(","))
    app = faust.App(
        options.group_id,
        broker=urls,
        broker_client_id=options.kafka.client_id,
        broker_credentials=options.kafka.security.credentials(),
        broker_commit_interval=COMMIT_INTERVAL_SECONDS,
        broker_max_poll_records=options.poll_records_max,
        broker_session_timeout=options.session_timeout_s,
        broker_heartbeat_interval=options.session_timeout_s / 5,
        broker_request_timeout=max(90.0, options.session_timeout_s),
        broker_rebalance_timeout=REBALANCE_TIMEOUT_SECONDS,
        consumer_group_instance_id=options.instance_id,
        consumer_max_fetch_size=PARTITION_FETCH_SIZE_BYTES_MAX,
        # A missing offset is an error, never a reason to begin elsewhere.
        consumer_auto_offset_reset="none",
        store="memory://",
        datadir=str(options.data_dir / "faust"),
        table_standby_replicas=0,
        topic_allow_declare=False,
        topic_disable_leader=True,
        stream_wait_empty=False,
        stream_buffer_maxsize=STREAM_BUFFER_BATCHES,
        # With no tables there is nothing to recover; Faust otherwise waits this long before it resumes the streams.
        stream_recovery_delay=0.0,
        web_enabled=False,
        web_tables_enabled=False,
        web_router_enabled=False,
        producer_linger_ms=5,
        logging_config=None,
    )
    app.transport = BatchTransport(app.conf.broker_consumer, app, loop=asyncio.get_running_loop())
    app.transport.read_ahead = ReadAhead(options.read_ahead_size_bytes_max)
    app.transport.topic_ids = options.topic_ids
    return app


class Application:
    """Runs stages on a Faust app until it is stopped or one of them fails."""

    def __init__(self, app: faust.App, metrics: Metrics) -> None:
        self.app = app
        self._metrics = metrics
        self._stages: list[Stage] = []
        #: Set once this worker has taken its place in the group, with partitions or without.
        self.joined = asyncio.Event()
        # Set while every stage knows which partitions are this worker's.
        self._assignment_known = asyncio.Event()
        self._assigned_now: frozenset[tuple[str, int]] = frozenset()
        # What was acknowledged in this generation; others may have gone on meanwhile from what was before.
        self._positions: dict[tuple[str, int], int] = {}
        self._ended: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def acknowledge(self, topic: str, partition: int, next_offset: int) -> None:
        """All records of the partition below the offset are done."""
        consumer: BatchConsumer = self.app.consumer
        consumer.acknowledge(TP(topic, partition), next_offset)
        self._positions[topic, partition] = next_offset

    def look(self) -> Sight:
        """What can be seen of the work from any thread, whatever the event loop does."""
        steps = {place: step for stage in self._stages for place, step in stage.steps().items()}
        return Sight(
            is_member=self._assignment_known.is_set() and _is_heard(self.app),
            generation=self.app.consumer_generation_id,
            is_held_up=not self._assigned_now <= steps.keys(),
            steps=steps,
            positions=dict(self._positions),
        )

    def fatal(self, error: BaseException) -> None:
        """End the application with this error, the first one counts."""
        if not self._ended.done():
            self._ended.set_exception(error)

    def add(self, stage: Stage, records_per_second_max: float | None = None) -> None:
        """Put an agent on the stage's topics, which takes no more records a second than that, where it is given."""
        self._stages.append(stage)
        read_ahead: ReadAhead = self.app.transport.read_ahead
        read_ahead.add(stage.topics, records_per_second_max)
        self._metrics.read_ahead_bytes.labels(stage.name).set_function(partial(read_ahead.size_bytes, stage.topics))
        channel = self.app.topic(*stage.topics, schema=BatchSchema(), internal=False)

        async def agent(stream: Any) -> None:
            async for event in stream.noack().events():
                for batch in event.value:
                    await self._offer(stage, batch)

        self.app.agent(channel, name=stage.name, concurrency=1)(agent)

    async def _offer(self, stage: Stage, batch: Batch) -> None:
        """Hand a batch over once the stage can tell whose it is.

        Faust fetches again before it has told everybody of the new assignment. A stage would drop such a batch as one
        of another generation, and what follows it would be applied with a hole before it.
        """
        await self._assignment_known.wait()
        await stage.offer(batch)

    async def run(self, stopping: asyncio.Event) -> None:
        """Start, and return after an orderly end once `stopping` is set.

        Raises:
            GoldenthreadError: what ended a stage; nothing past the last checkpoint was acknowledged.
        """
        self.app.on_partitions_assigned.connect(self._assigned)
        self.app.on_partitions_revoked.connect(self._revoked)
        self.app.in_worker = True
        self.app.finalize()
        waiter = asyncio.create_task(stopping.wait())
        starter = asyncio.create_task(self._start())
        crashed = asyncio.create_task(self._wait_crashed())
        try:
            ends: set[asyncio.Future[Any]] = {waiter, self._ended, crashed}
            await asyncio.wait(ends, return_when=asyncio.FIRST_COMPLETED)
            if self._ended.done():
                self._ended.result()
            if crashed.done() and not stopping.is_set():
                raise _reason(crashed.result())
            await self._drain_and_commit()
            # What went wrong while draining was told after the first look.
            if self._ended.done():
                self._ended.result()
        finally:
            for task in (waiter, crashed, starter):
                task.cancel()
        await self._close()

    async def _start(self) -> None:
        """Start Faust; what keeps it from starting ends the application, which would wait for ever otherwise."""
        try:
            await self.app.start()
        except Exception as error:  # noqa: BLE001 - whatever it is, nothing runs without it.
            self.fatal(error)

    async def _wait_crashed(self) -> BaseException:
        """The reason why Faust itself gave up, when it does."""
        while self.app.crash_reason is None:  # noqa: ASYNC110 - Faust has no event for it.
            await asyncio.sleep(_CRASH_POLL_SECONDS)
        reason: BaseException = self.app.crash_reason
        return reason

    async def _close(self) -> None:
        await asyncio.gather(*(stage.close() for stage in self._stages))
        await self.app.stop()

    async def _assigned(self, _app: Any, assigned: Iterable[TP], **_kwargs: Any) -> None:
        partitions = [(tp.topic, tp.partition) for tp in assigned]
        generation = self.app.consumer_generation_id
        log.info("partitions assigned", partitions=len(partitions), generation=generation)
        self.app.transport.read_ahead.assigned(TP(*place) for place in partitions)
        await asyncio.gather(*(stage.assigned(partitions, generation) for stage in self._stages))
        self._assigned_now = frozenset(partitions)
        self._metrics.rebalances.inc()
        self.joined.set()
        self._assignment_known.set()

    async def _revoked(self, _app: Any, revoked: Iterable[TP], **_kwargs: Any) -> None:
        self._assignment_known.clear()
        log.info("partitions revoked", partitions=len(set(revoked)))
        await self._drain_and_commit()
        self._positions.clear()

    async def _drain_and_commit(self) -> None:
        """Drain every stage, then commit what they acknowledged; a failed commit means repeats, which are skipped."""
        await asyncio.gather(*(stage.drain() for stage in self._stages))
        try:
            await asyncio.wait_for(self.app.consumer.commit(), COMMIT_ON_REVOKE_TIMEOUT_SECONDS)
        except Exception as error:  # noqa: BLE001 - whatever it is, positions are in the changelog already.
            log.warning("offsets were not committed, their records will be skipped", reason=repr(error))


def _reason(error: BaseException) -> BaseException:
    """A position that the broker does not have is nothing that a restart could heal."""
    if isinstance(error, OffsetOutOfRangeError | NoOffsetForPartitionError):
        return StateError(f"the group's position is not in the log: {error} (docs/gaps.md)")
    return error


def _is_heard(app: faust.App) -> bool:
    """Whether the tasks run that keep this member in its group; aiokafka's coordinator shows nothing in public."""
    try:
        coordinator = app.consumer._thread._consumer._coordinator  # noqa: SLF001 - see above.
    except AttributeError:
        # It starts, or stops.
        return False
    tasks = (coordinator._coordination_task, coordinator._heartbeat_task)  # noqa: SLF001 - see above.
    return all(task is not None and not task.done() for task in tasks)
