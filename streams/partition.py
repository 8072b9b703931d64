"""A stateful partition, from its assignment to its revocation: a task each, so that none waits for another's commit.

The task applies batches to the engine and decides when a checkpoint is due: at most every `interval_ms` or `events_max`
while records keep coming; once caught up, after draining what is queued, and not sooner than `pause_ms` after the last.
Engines are drained, and checkpoints written, by threads: the event loop answers meanwhile. The partitions of a stage
are drained one at a time, each while others wait for the broker; what that takes counts as part of the interval.
A partition that has been idle for `idle_s` takes its position past what lies at the end of its input and is no record.
"""

import asyncio
import time
from collections import Counter
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import Any, Final, NamedTuple

from schemas.errors import DeadCode, RestartNeeded, StateError
from state.engine import Drained, Engine, StoredRows
from streams.batch import Batch
from streams.checkpoint import Checkpoint
from streams.checkpoint_size import CheckpointSize
from streams.faults import FaultHook, FaultPoint, no_fault
from streams.logs import logger
from streams.metrics import DROP_REASONS, Metrics

log = logger(__name__)

# Fetched batches that may wait before the partition. The read-ahead bounds what they hold; where this bound is met, the
# stage's other partitions wait too, so it is out of reach.
QUEUE_BATCHES_MAX: Final = 10_000
# The event loop answers heartbeats and other partitions between slices of this many records.
SLICE_RECORDS: Final = 500
# A slice takes about so long, where records are costly: the next one has half as many where the last took longer, twice
# as many where it took less than half of it.
SLICE_SECONDS: Final = 0.02
_FIRST_SLICE_RECORDS: Final = 64
# Others' turns count as part of a drain up to so many times the drain itself. A partition that waits for much larger
# ones would write ever smaller checkpoints otherwise, and get ever less done.
_OTHERS_TURNS_MAX: Final = 7
# A partition that got nothing for so long is looked at: far shorter than records are kept, far longer than the look.
IDLE_SECONDS: Final = 600.0
#: Drained whenever a checkpoint is due, whoever else is drained then.
NO_TURNS: Final = nullcontext()
_DEAD_CODES: Final = frozenset(code.value for code in DeadCode)

#: Makes the engine of a partition over its committed rows: rows, partition, and the era of its positions.
EngineFactory = Callable[[StoredRows, int, int], Engine]
#: Called with whatever ends the process.
Fatal = Callable[[BaseException], None]


@dataclass(frozen=True)
class CheckpointPolicy:
    """When a checkpoint is due."""

    interval_ms: int = 200
    events_max: int = 20_000
    #: A checkpoint costs broker and worker some ten requests, however little is in it.
    pause_ms: int = 50
    #: What was applied may have so many bytes: what it gives has to be acknowledged within a transaction's time.
    size_bytes_max: int = 32 * 1024 * 1024
    #: What it gives should be no more than this, as far as the checkpoints before can tell; a producer's queue.
    drained_size_bytes_max: int = 64 * 1024 * 1024
    idle_s: float = IDLE_SECONDS


class Step(NamedTuple):
    """How far the work on a partition is, as others than its task may see it at any time."""

    #: Grows with every record that is taken in, and with every commit.
    taken: int
    #: Whether records are being worked on, or wait in the partition's own queue.
    in_hand: bool


class _Written(NamedTuple):
    """A checkpoint that is committed."""

    drained: Drained
    size_bytes: int
    due_s: float
    #: What the drain took, others' turns before it included as far as they count.
    drain_s: float


def count_outcomes(metrics: Metrics, stage: str, counts: Counter[str]) -> None:
    """Export what became of events, and start counting anew."""
    for outcome, number in counts.items():
        metrics.events_processed.labels(stage, outcome).inc(number)
        if outcome == "duplicate":
            metrics.duplicates.inc(number)
        if outcome in DROP_REASONS:
            metrics.drop(stage, outcome, number)
        elif outcome in _DEAD_CODES:
            metrics.dead_letters.labels(stage, outcome).inc(number)
    counts.clear()


class PartitionRunner:
    """Runs one partition of a stateful stage."""

    def __init__(
        self,
        checkpoint: Checkpoint,
        make_engine: EngineFactory,
        *,
        stage: str,
        committed_offset: Callable[[int], int | None],
        acknowledge: Callable[[int, int], None],
        policy: CheckpointPolicy,
        metrics: Metrics,
        fatal: Fatal,
        fault: FaultHook = no_fault,
        turn: AbstractContextManager[Any] = NO_TURNS,
    ) -> None:
        self._checkpoint = checkpoint
        # Held while the engine is drained; shared by whoever is to be drained one at a time.
        self._turn = turn
        self._make_engine = make_engine
        self._stage = stage
        self._committed_offset = committed_offset
        self._acknowledge = acknowledge
        self._policy = policy
        self._metrics = metrics
        self._fatal = fatal
        self._fault = fault
        self._queue: asyncio.Queue[Batch] = asyncio.Queue(QUEUE_BATCHES_MAX)
        self._task: asyncio.Task[None] | None = None
        self._generation = -1
        # Set while everything applied is committed; before the first batch, and so while restoring, that is nothing.
        self._idle = asyncio.Event()
        self._idle.set()
        self._draining = False
        self._is_open = False
        self._taken = 0
        self._applied = 0
        self._applied_bytes = 0
        self._slice = _FIRST_SLICE_RECORDS
        self._size = CheckpointSize(policy.drained_size_bytes_max)
        self._next_offset = 0
        self._acknowledged = 0
        self._first_applied_s = 0.0
        self._last_commit_s = 0.0

    def start(self, generation: int) -> None:
        """Accept batches of this generation, and open the partition if that has not been done."""
        self._generation = generation
        self._draining = False
        if self._task is None:
            self._task = asyncio.create_task(self._run(), name=f"{self._stage}-{self._checkpoint.partition}")

    @property
    def step(self) -> Step | None:
        """How far the work is; None while the partition is opened, which has bounds of its own. For any thread."""
        return Step(self._taken, not (self._idle.is_set() and self._queue.empty())) if self._is_open else None

    async def offer(self, batch: Batch) -> None:
        """Queue a batch; waits while the queue is full. Batches of another generation are fetched again: dropped."""
        if batch.generation == self._generation and not self._draining:
            await self._queue.put(batch)

    async def drain(self, timeout_s: float) -> None:
        """Commit what is applied, drop what is queued, and accept nothing until the next start.

        Raises:
            RestartNeeded: it did not end in time; the next owner fences what goes on.
        """
        self._draining = True
        self._generation = -1
        deadline = time.monotonic() + timeout_s
        while self._task is not None and not self._task.done():
            while not self._queue.empty():
                self._queue.get_nowait()
            if self._idle.is_set() and self._queue.empty():
                return
            if time.monotonic() > deadline:
                raise RestartNeeded(
                    f"{self._stage}/{self._checkpoint.partition} did not drain within {timeout_s:.0f} s"
                )
            await asyncio.sleep(0.005)

    async def close(self) -> None:
        """End the task, after `drain`, and release store and producer."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
            self._task = None
        await asyncio.to_thread(self._checkpoint.close)

    async def _run(self) -> None:
        try:
            committed = await asyncio.to_thread(self._committed_offset, self._checkpoint.partition)
            await asyncio.to_thread(self._checkpoint.open, committed)
            self._next_offset = self._checkpoint.next_offset
            checkpoint = self._checkpoint
            engine = self._make_engine(checkpoint.rows, checkpoint.partition, checkpoint.era)
            # A position past the group's offset, after a crash between commit and acknowledgement, is told at once.
            self._tell(self._next_offset)
            await self._commit_beginning(engine)
            self._is_open = True
            while True:
                batch = await self._next_unless_idle()
                if batch is None:
                    await self._pass_markers(engine)
                elif self._is_current(batch):
                    self._idle.clear()
                    await self._process(engine, batch)
                    self._idle.set()
        except asyncio.CancelledError:
            raise
        except BaseException as error:  # noqa: BLE001 - whatever it is, going on would skip records: the process ends.
            self._fatal(error)

    async def _commit_beginning(self, engine: Engine) -> None:
        """Write what an engine has to say before the first record, such as what makes unfinished work go on."""
        while await self._commit(engine, nothing_too=False):
            continue

    async def _next_unless_idle(self) -> Batch | None:
        try:
            return await asyncio.wait_for(self._queue.get(), self._policy.idle_s)
        except TimeoutError:
            return None

    async def _pass_markers(self, engine: Engine) -> None:
        """Go on behind the transaction markers at the end of the input, which retention would overtake otherwise.

        A position before them would name an offset that is gone, though no record is: a false alarm at the next start.
        """
        # What the changelog forgets in time must not be what the store still lacks.
        await asyncio.to_thread(self._checkpoint.rows.flush)
        end = await asyncio.to_thread(self._checkpoint.idle_end)
        if end > self._next_offset and not self._draining:
            self._idle.clear()
            self._next_offset = end
            await self._commit(engine)
            self._idle.set()

    def _is_current(self, batch: Batch) -> bool:
        """Whether nothing before the batch was dropped: one that waited for room gets it when a drain makes some."""
        return batch.generation == self._generation

    async def _process(self, engine: Engine, first: Batch) -> None:
        """Apply the batch and what follows it until a checkpoint is due, then commit."""
        batch: Batch | None = first
        self._first_applied_s = time.monotonic()
        while batch is not None:
            await self._apply(engine, batch)
            batch = await self._next_before_due()
        if self._applied:
            await self._commit(engine)
        else:
            # All of it was applied before the group was told: it is told now.
            self._tell(self._checkpoint.next_offset)

    async def _apply(self, engine: Engine, batch: Batch) -> None:
        started = time.monotonic()
        batch.follow(self._next_offset)
        values, offsets = batch.columns(self._next_offset)
        done = 0
        while done < len(values):
            end = min(len(values), done + max(1, min(self._slice, self._records_max - self._applied)))
            piece = values[done:end]
            self._apply_slice(engine, piece, offsets[done:end])
            done = end
            await asyncio.sleep(0)
            # A fetched batch may be larger than what one transaction should hold, or have taken long to apply.
            if self._is_full() or self._remaining_s() <= 0:
                await self._commit(engine)
        if values:
            self._metrics.batch_seconds.labels(self._stage).observe(time.monotonic() - started)

    def _apply_slice(self, engine: Engine, values: list[bytes], offsets: list[int]) -> None:
        started = time.monotonic()
        engine.apply_many(values, offsets)
        seconds = time.monotonic() - started
        if seconds > SLICE_SECONDS:
            self._slice = max(1, len(values) // 2)
        elif seconds < SLICE_SECONDS / 2 and len(values) == self._slice:
            self._slice = min(SLICE_RECORDS, 2 * self._slice)
        self._taken += len(values)
        self._applied += len(values)
        self._applied_bytes += sum(map(len, values))
        self._next_offset = offsets[-1] + 1

    @property
    def _records_max(self) -> int:
        return min(self._policy.events_max, self._size.records_max)

    def _is_full(self) -> bool:
        return self._applied >= self._records_max or self._applied_bytes >= self._policy.size_bytes_max

    def _remaining_s(self) -> float:
        """For how long more records may be applied before the checkpoint is due."""
        elapsed_s = time.monotonic() - self._first_applied_s
        return self._policy.interval_ms / 1000 - elapsed_s - self._size.drain_seconds(self._applied)

    async def _next_before_due(self) -> Batch | None:
        """The next batch that still belongs into this checkpoint, or None when it is due."""
        remaining_s = self._remaining_s()
        if self._draining or self._is_full() or remaining_s <= 0:
            return None
        pause_s = self._policy.pause_ms / 1000 - (time.monotonic() - self._last_commit_s)
        if not self._queue.empty():
            batch = self._queue.get_nowait()
        elif pause_s <= 0:
            return None
        else:
            try:
                batch = await asyncio.wait_for(self._queue.get(), min(pause_s, remaining_s))
            except TimeoutError:
                return None
        return batch if self._is_current(batch) else None

    async def _commit(self, engine: Engine, *, nothing_too: bool = True) -> bool:
        """Drain the engine and write a checkpoint; False where there was nothing to write and nothing is not wanted."""
        written = await asyncio.to_thread(self._write, engine, nothing_too=nothing_too)
        engine.settled()
        if written is None:
            return False
        self._size.wrote(written.size_bytes, self._applied, written.drain_s)
        self._taken += 1
        self._applied = self._applied_bytes = 0
        self._last_commit_s = self._first_applied_s = time.monotonic()
        self._tell(self._next_offset)
        self._fault(FaultPoint.AFTER_ACKNOWLEDGE)
        self._account(engine, written.drained, self._last_commit_s - written.due_s)
        return True

    def _write(self, engine: Engine, *, nothing_too: bool) -> _Written | None:
        due_s = time.monotonic()
        with self._turn:
            begun_s = time.monotonic()
            drained = engine.drain()
        drain_s = time.monotonic() - begun_s
        drain_s += min(begun_s - due_s, _OTHERS_TURNS_MAX * drain_s)
        if not (nothing_too or drained.outputs or drained.rows):
            return None
        return _Written(drained, self._checkpoint.commit(drained, self._next_offset), due_s, drain_s)

    def _tell(self, next_offset: int) -> None:
        """Acknowledge what is committed.

        Raises:
            StateError: it is less than before, or more than the checkpoint holds: a fault of the program.
        """
        if not self._acknowledged <= next_offset <= self._checkpoint.next_offset:
            raise StateError(
                f"{self._stage}/{self._checkpoint.partition}: offsets only grow, up to the committed one: "
                f"{next_offset} after {self._acknowledged}, {self._checkpoint.next_offset} is committed"
            )
        self._acknowledged = next_offset
        self._acknowledge(self._checkpoint.partition, next_offset)

    def _account(self, engine: Engine, drained: Drained, seconds: float) -> None:
        metrics, stage = self._metrics, self._stage
        metrics.checkpoint_seconds.labels(stage).observe(seconds)
        metrics.checkpoint_outputs.labels(stage).inc(len(drained.outputs))
        metrics.checkpoint_rows.labels(stage).inc(len(drained.rows))
        metrics.checkpoint_timestamp.labels(stage).set_to_current_time()
        count_outcomes(metrics, stage, engine.counts)
