"""A stage: what an agent does with the partitions that this worker has, between assignment and revocation."""

import asyncio
import threading
from collections.abc import Callable, Iterable
from typing import Final, Protocol

from schemas.topics import Partition
from streams.batch import Batch
from streams.checkpoint import Checkpoint
from streams.checkpoint_options import CheckpointOptions
from streams.partition import CheckpointPolicy, EngineFactory, Fatal, PartitionRunner, Step
from streams.retrying_engine import retrying
from streams.topics import group_offsets

# Bounded well below the rebalance timeout, so that a partition that can't drain does not stall the whole group.
DRAIN_TIMEOUT_SECONDS: Final = 10.0

#: Tells Faust that all records of (topic, partition) below an offset are done.
Acknowledge = Callable[[str, int, int], None]


class Stage(Protocol):
    """What the application asks of each agent's stage."""

    name: str
    topics: tuple[str, ...]

    async def assigned(self, partitions: Iterable[Partition], generation: int) -> None:
        """These partitions, and no others, are this worker's now."""

    async def offer(self, batch: Batch) -> None:
        """Take in a batch; waits while the stage is full."""

    def steps(self) -> dict[Partition, Step]:
        """How far the work on each partition is, but for those that wait for what has bounds of its own.

        For any thread, at any time: it waits for nothing.
        """

    async def drain(self) -> None:
        """Commit what is applied and acknowledge it; accept nothing until the next assignment."""

    async def close(self) -> None:
        """Release everything, after `drain`."""


class StatefulStage:
    """A stage whose partitions each have an engine, a store and a checkpoint."""

    def __init__(
        self,
        options: CheckpointOptions,
        make_engine: EngineFactory,
        *,
        acknowledge: Acknowledge,
        policy: CheckpointPolicy,
        fatal: Fatal,
    ) -> None:
        self.name = options.stage
        self._topic = options.catalogue.name(options.input_topic)
        self.topics: tuple[str, ...] = (self._topic,)
        self._options = options
        self._make_engine = retrying(make_engine, stage=self.name, topic=self._topic)
        self._acknowledge = acknowledge
        self._policy = policy
        self._fatal = fatal
        self._runners: dict[int, PartitionRunner] = {}
        # Drains side by side would slow each other down; in turn, what one gives is written while the next goes on.
        self._turn = threading.Lock()

    async def assigned(self, partitions: Iterable[Partition], generation: int) -> None:
        """Keep what stays, open what is new, close what went; fencing tells if keeping was wrong."""
        mine = {number for topic, number in partitions if topic == self._topic}
        gone = [self._runners.pop(number) for number in list(self._runners) if number not in mine]
        await asyncio.gather(*(runner.close() for runner in gone))
        for number in sorted(mine):
            runner = self._runners.get(number)
            if runner is None:
                runner = self._runners[number] = self._runner(number)
            runner.start(generation)
        self._options.metrics.assigned_partitions.labels(self.name).set(len(mine))

    async def offer(self, batch: Batch) -> None:
        """Hand the batch to its partition."""
        runner = self._runners.get(batch.partition)
        if runner is not None:
            await runner.offer(batch)

    def steps(self) -> dict[Partition, Step]:
        """How far the work on each partition is; those that are opened are left out."""
        steps = {(self._topic, number): runner.step for number, runner in list(self._runners.items())}
        return {place: step for place, step in steps.items() if step is not None}

    async def drain(self) -> None:
        """Drain all partitions side by side; one that can't ends the process."""
        results = await asyncio.gather(
            *(runner.drain(DRAIN_TIMEOUT_SECONDS) for runner in self._runners.values()), return_exceptions=True
        )
        for result in results:
            if isinstance(result, BaseException):
                self._fatal(result)

    async def close(self) -> None:
        """Close all partitions."""
        runners, self._runners = list(self._runners.values()), {}
        await asyncio.gather(*(runner.close() for runner in runners))

    def _runner(self, number: int) -> PartitionRunner:
        options = self._options
        return PartitionRunner(
            Checkpoint(options, number),
            self._make_engine,
            stage=self.name,
            committed_offset=self._committed_offset,
            acknowledge=lambda partition, offset: self._acknowledge(self._topic, partition, offset),
            policy=self._policy,
            metrics=options.metrics,
            fatal=self._fatal,
            fault=options.fault,
            turn=self._turn,
        )

    def _committed_offset(self, partition: int) -> int | None:
        key = (self._topic, partition)
        return group_offsets(self._options.kafka, self._options.application, [key])[key]
