"""Goal: a partition commits when it should, in order, without gaps. Method: a checkpoint that tests open and shut."""

import asyncio
import threading
import time
from typing import Any, cast

import pytest

from schemas.errors import DeliveryFailed, Fenced, RestartNeeded, StateError
from state.engine import Drained, Engine, MemoryRows, Rows
from streams.batch import Batch
from streams.faults import FaultPoint
from streams.metrics import Metrics
from streams.partition import NO_TURNS, QUEUE_BATCHES_MAX, CheckpointPolicy, PartitionRunner
from tests.streams.counting import CountingEngine, batch_of
from tests.waiting import until

DEADLINE_S = 10.0
HOUR_MS = 3_600_000


class _Rows(MemoryRows):
    """Rows that count how often what is held was to be written."""

    def __init__(self) -> None:
        super().__init__()
        self.flushes = 0

    def flush(self) -> None:
        """Everything is in the store as it is."""
        self.flushes += 1


class _FakeCheckpoint:
    """Commits into memory while `gate` is open."""

    def __init__(self, next_offset: int = 0) -> None:
        self.partition = 0
        self.era = 0
        self.next_offset = 0
        self.store = _Rows()
        self.commits: list[tuple[Drained, int]] = []
        self.moments: list[float] = []
        self.group_offsets: list[int | None] = []
        self.closed = False
        #: Where the input ends, and how often somebody looked.
        self.end = 0
        self.looks = 0
        self.failure: Exception | None = None
        self.gate = threading.Event()
        self.gate.set()
        self.opening = threading.Event()
        self.opening.set()
        self._restored_offset = next_offset

    def open(self, group_offset: int | None) -> None:
        self.group_offsets.append(group_offset)
        assert self.opening.wait(DEADLINE_S)
        if self.failure is not None:
            raise self.failure
        self.next_offset = self._restored_offset

    def commit(self, drained: Drained, next_offset: int) -> int:
        assert self.gate.wait(DEADLINE_S)
        if self.failure is not None:
            raise self.failure
        self.store.write(drained.rows)
        self.commits.append((drained, next_offset))
        self.moments.append(time.monotonic())
        self.next_offset = next_offset
        return sum(len(key) + len(value or b"") for key, value in drained.rows.items()) + sum(
            len(output.key or b"") + len(output.value or b"") for output in drained.outputs
        )

    @property
    def rows(self) -> "_Rows":
        return self.store

    def idle_end(self) -> int:
        self.looks += 1
        return max(self.end, self.next_offset)

    def close(self) -> None:
        self.closed = True


class _Partition:
    """A runner with all that it touches."""

    def __init__(
        self,
        checkpoint: _FakeCheckpoint | None = None,
        policy: CheckpointPolicy | None = None,
        fault: Any = None,
        turn: Any = NO_TURNS,
    ) -> None:
        self.checkpoint = checkpoint or _FakeCheckpoint()
        self.engine = CountingEngine(self.checkpoint.store)
        self.acknowledged: list[int] = []
        self.errors: list[BaseException] = []
        self.metrics = Metrics("test", "1")
        self.runner = PartitionRunner(
            cast("Any", self.checkpoint),
            self._make,
            stage="counting",
            committed_offset=lambda _partition: 0,
            acknowledge=lambda _partition, offset: self.acknowledged.append(offset),
            policy=policy or CheckpointPolicy(),
            metrics=self.metrics,
            fatal=self.errors.append,
            fault=fault or (lambda _point: None),
            turn=turn,
        )

    def _make(self, _rows: Rows, _partition: int, _era: int) -> Engine:
        return self.engine

    async def offer(self, *offsets: int, generation: int = 1) -> None:
        await self.runner.offer(Batch("gt.routed", 0, generation, batch_of(offsets)))

    @property
    def committed(self) -> list[int]:
        return [offset for _, offset in self.checkpoint.commits]


async def test_what_an_engine_says_before_the_first_record_is_committed_at_once() -> None:
    partition = _Partition(_FakeCheckpoint(next_offset=7))
    partition.engine.apply(b"unfinished", 0)
    partition.runner.start(1)
    await until(lambda: partition.committed == [7])
    [(drained, _)] = partition.checkpoint.commits
    assert [output.value for output in drained.outputs] == [b"unfinished"]
    await partition.offer(7)
    await until(lambda: partition.committed == [7, 8])
    await partition.runner.close()


async def test_a_batch_is_committed_and_then_acknowledged() -> None:
    seen_at_commit: list[list[int]] = []
    partition = _Partition()
    original = partition.checkpoint.commit

    def commit(drained: Drained, next_offset: int) -> int:
        seen_at_commit.append(list(partition.acknowledged))
        return original(drained, next_offset)

    partition.checkpoint.commit = commit  # type: ignore[method-assign]
    partition.runner.start(1)
    await partition.offer(0, 1, 2)
    await until(lambda: 3 in partition.acknowledged)
    # The restored position is told at once, the batch's only after its commit.
    assert seen_at_commit == [[0]]
    assert partition.committed == [3]
    drained, _ = partition.checkpoint.commits[0]
    assert drained.rows == {b"k/key-0": b"2", b"k/key-1": b"1"}
    assert [output.value for output in drained.outputs] == [b"key-0|0", b"key-1|1", b"key-0|2"]
    # The drain before the first record gave nothing, and was settled as well.
    assert partition.engine.settlements == 2
    assert partition.metrics.registry.get_sample_value(
        "goldenthread_events_processed_total", {"stage": "counting", "outcome": "applied"}
    ) == pytest.approx(3)
    await partition.runner.close()


@pytest.mark.parametrize(("previous", "lost"), [(None, False), (2, False), (4, False), (5, True)])
async def test_a_batch_that_does_not_follow_what_was_applied_ends_the_worker(previous: int | None, lost: bool) -> None:
    partition = _Partition(_FakeCheckpoint(next_offset=5))
    partition.runner.start(1)
    await partition.runner.offer(Batch("gt.routed", 0, 1, batch_of((7, 8)), previous))
    await until(lambda: partition.errors or partition.committed)
    assert bool(partition.errors) is lost
    assert partition.committed == ([] if lost else [9])
    await partition.runner.close()


async def test_a_batch_that_is_larger_than_a_checkpoint_may_be_is_committed_in_pieces() -> None:
    partition = _Partition(policy=CheckpointPolicy(events_max=500, drained_size_bytes_max=1 << 30))
    partition.runner.start(1)
    await partition.offer(*range(1_200))
    await until(lambda: 1_200 in partition.acknowledged)
    assert partition.committed == [500, 1_000, 1_200]
    assert partition.acknowledged == [0, 500, 1_000, 1_200]
    await partition.runner.close()


async def test_a_checkpoint_is_due_after_so_many_bytes() -> None:
    partition = _Partition(policy=CheckpointPolicy(interval_ms=HOUR_MS, pause_ms=HOUR_MS, size_bytes_max=1_000))
    partition.runner.start(1)
    # Nine bytes each.
    for offset in range(100, 700, 60):
        await partition.offer(*range(offset, offset + 60))
    await until(lambda: len(partition.committed) == 5)
    assert partition.committed == [220, 340, 460, 580, 700]
    await partition.runner.close()


async def test_a_checkpoint_is_due_before_it_writes_too_much_as_far_as_those_before_tell() -> None:
    # Before anything was measured a record counts for 256 KiB, and then for a quarter of that at least.
    policy = CheckpointPolicy(interval_ms=HOUR_MS, pause_ms=HOUR_MS, drained_size_bytes_max=1024 * 1024)
    partition = _Partition(policy=policy)
    partition.runner.start(1)
    await partition.offer(*range(400))
    await until(lambda: len(partition.committed) == 4)
    assert partition.committed == [4, 4 + 16, 4 + 16 + 64, 4 + 16 + 64 + 256]
    await partition.runner.close()


async def test_what_draining_takes_counts_as_part_of_the_interval() -> None:
    # The first pause began when the machine did.
    partition = _Partition(policy=CheckpointPolicy(interval_ms=HOUR_MS, pause_ms=10_000 * HOUR_MS))
    # As after a drain that took 1,000 seconds for a record: each is taken to need 300.
    partition.runner._size.wrote(0, 1, 1_000.0)
    partition.runner.start(1)
    await partition.offer(*range(11))
    await until(lambda: len(partition.engine.offsets) == 11)
    assert partition.committed == []
    await partition.offer(11)
    await until(lambda: partition.committed == [12])
    await partition.runner.close()


async def test_engines_are_drained_by_threads_one_at_a_time() -> None:
    turn, loop_thread = threading.Lock(), threading.get_ident()
    inside: list[int] = []
    most: list[int] = []
    elsewhere: list[bool] = []
    met = threading.Event()

    class Watched(CountingEngine):
        def drain(self) -> Drained:
            inside.append(1)
            most.append(len(inside))
            elsewhere.append(threading.get_ident() != loop_thread)
            # Long enough for the other one to come in, where nothing keeps it out.
            met.wait(0.05)
            inside.pop()
            return super().drain()

    partitions = [_Partition(policy=CheckpointPolicy(pause_ms=1), turn=turn) for _ in range(2)]
    for partition in partitions:
        partition.engine = Watched(partition.checkpoint.store)
        partition.runner.start(1)
    for partition in partitions:
        await partition.offer(0, 1, 2)
    await until(lambda: all(partition.committed == [3] for partition in partitions))
    assert set(most) == {1}
    assert all(elsewhere)
    for partition in partitions:
        await partition.runner.close()


async def test_waiting_for_others_that_take_long_makes_no_checkpoint_small() -> None:
    turn = threading.Lock()
    partition = _Partition(policy=CheckpointPolicy(interval_ms=50, pause_ms=1), turn=turn)
    partition.runner.start(1)
    await until(lambda: partition.runner.step is not None)
    with turn:
        await partition.offer(*range(10))
        await until(lambda: len(partition.engine.offsets) == 10)
        # Far more than the drain of ten records.
        await asyncio.sleep(0.5)
    await until(lambda: partition.committed == [10])
    assert partition.runner._size.drain_seconds(10) < 0.1
    await partition.runner.close()


async def test_an_idle_partition_goes_on_behind_what_is_no_record() -> None:
    partition = _Partition(policy=CheckpointPolicy(idle_s=0.05))
    partition.runner.start(1)
    await partition.offer(0, 1, 2)
    await until(lambda: partition.checkpoint.looks)
    assert partition.checkpoint.rows.flushes
    assert partition.committed == [3]
    partition.checkpoint.end = 5
    await until(lambda: 5 in partition.acknowledged)
    assert partition.committed == [3, 5]
    drained, _ = partition.checkpoint.commits[-1]
    assert drained == Drained([], {})
    looks = partition.checkpoint.looks
    await until(lambda: partition.checkpoint.looks > looks + 1)
    assert partition.committed == [3, 5]
    # Records go on as before, the last one fetched being the one before the markers.
    await partition.runner.offer(Batch("gt.routed", 0, 1, batch_of((5, 6)), previous=2))
    await until(lambda: 7 in partition.acknowledged)
    assert partition.engine.offsets == [0, 1, 2, 5, 6]
    assert partition.errors == []
    await partition.runner.close()


async def test_a_partition_that_is_drained_while_its_end_is_looked_at_stays_where_it_is() -> None:
    partition = _Partition(policy=CheckpointPolicy(idle_s=0.01))
    looking, release = threading.Event(), threading.Event()

    def idle_end() -> int:
        looking.set()
        assert release.wait(DEADLINE_S)
        return 9

    partition.checkpoint.idle_end = idle_end  # type: ignore[method-assign]
    partition.runner.start(1)
    await until(looking.is_set)
    await partition.runner.drain(DEADLINE_S)
    release.set()
    await asyncio.sleep(0.05)
    assert partition.committed == []
    assert partition.acknowledged == [0]
    await partition.runner.close()


async def test_more_than_is_committed_is_never_acknowledged() -> None:
    partition = _Partition()
    partition.checkpoint.commit = lambda drained, next_offset: 0  # type: ignore[method-assign]  # noqa: ARG005
    partition.runner.start(1)
    await partition.offer(0, 1)
    await until(lambda: partition.errors)
    assert isinstance(partition.errors[0], StateError)
    assert "offsets only grow, up to the committed one: 2 after 0, 0 is committed" in str(partition.errors[0])
    assert partition.acknowledged == [0]
    await partition.runner.close()


async def test_records_below_the_position_are_skipped() -> None:
    partition = _Partition(_FakeCheckpoint(next_offset=5))
    partition.runner.start(1)
    await partition.offer(3, 4)
    await partition.offer(4, 5, 7)
    await until(lambda: partition.committed)
    assert partition.engine.offsets == [5, 7]
    assert partition.committed == [8]
    assert partition.acknowledged == [5, 8]
    await partition.runner.close()


async def test_records_without_a_value_are_the_engines_to_judge() -> None:
    partition = _Partition()
    partition.runner.start(1)
    await partition.runner.offer(Batch("gt.routed", 0, 1, [batch_of([0])[0]._replace(value=None)]))
    await until(lambda: partition.committed)
    assert partition.engine.offsets == [0]
    await partition.runner.close()


async def test_batches_of_another_generation_are_dropped() -> None:
    partition = _Partition()
    partition.runner.start(2)
    await partition.offer(0, 1, generation=1)
    await partition.offer(0, generation=2)
    await until(lambda: partition.committed)
    assert partition.engine.offsets == [0]
    await partition.runner.close()


async def test_a_checkpoint_is_due_after_so_many_events() -> None:
    policy = CheckpointPolicy(interval_ms=HOUR_MS, events_max=10, pause_ms=HOUR_MS)
    partition = _Partition(policy=policy)
    partition.checkpoint.gate.clear()
    partition.runner.start(1)
    for start in range(0, 40, 5):
        await partition.offer(*range(start, start + 5))
    partition.checkpoint.gate.set()
    await until(lambda: partition.committed and partition.committed[-1] == 40)
    # The first holds what was there when nothing had been committed yet; each other one as much as it may.
    assert all(
        later - earlier == 10 for earlier, later in zip(partition.committed[:-1], partition.committed[1:], strict=True)
    )
    await partition.runner.close()


async def test_a_checkpoint_is_due_after_the_interval_though_records_keep_coming() -> None:
    partition = _Partition(policy=CheckpointPolicy(interval_ms=100, events_max=1_000_000, pause_ms=HOUR_MS))
    partition.runner.start(1)
    stopping = asyncio.Event()

    async def load() -> None:
        offset = 0
        while not stopping.is_set():
            await partition.offer(offset)
            offset += 1
            await asyncio.sleep(0.005)

    loading = asyncio.create_task(load())
    await until(lambda: len(partition.committed) >= 4)
    stopping.set()
    await loading
    first, *_, last = partition.checkpoint.moments
    assert (last - first) / (len(partition.checkpoint.moments) - 1) >= 0.1
    # Records that came within one interval are in one checkpoint.
    assert partition.committed[3] - partition.committed[0] >= 6
    await partition.runner.close()


async def test_once_caught_up_a_checkpoint_waits_for_the_pause_and_takes_along_what_comes() -> None:
    partition = _Partition(policy=CheckpointPolicy(interval_ms=HOUR_MS, events_max=1_000_000, pause_ms=150))
    partition.runner.start(1)
    await partition.offer(0)
    await until(lambda: partition.committed == [1])
    await partition.offer(1)
    await partition.offer(2)
    await until(lambda: len(partition.committed) > 1)
    assert partition.committed == [1, 3]
    assert partition.checkpoint.moments[1] - partition.checkpoint.moments[0] >= 0.14
    await partition.runner.close()


async def test_the_queue_is_bounded() -> None:
    partition = _Partition()
    partition.checkpoint.opening.clear()
    partition.runner.start(1)
    offers = [asyncio.create_task(partition.offer(offset)) for offset in range(QUEUE_BATCHES_MAX + 3)]
    await asyncio.sleep(0.05)
    assert sum(offer.done() for offer in offers) == QUEUE_BATCHES_MAX
    partition.checkpoint.opening.set()
    await asyncio.gather(*offers)
    await until(lambda: partition.committed and partition.committed[-1] == len(offers))
    assert partition.engine.offsets == list(range(len(offers)))
    await partition.runner.close()


async def test_drain_commits_what_is_applied_and_drops_what_is_queued() -> None:
    partition = _Partition()
    partition.checkpoint.gate.clear()
    partition.runner.start(1)
    await partition.offer(0, 1)
    await until(lambda: partition.engine.offsets == [0, 1])
    await partition.offer(2, 3)
    draining = asyncio.create_task(partition.runner.drain(DEADLINE_S))
    await asyncio.sleep(0)
    partition.checkpoint.gate.set()
    await draining
    assert partition.acknowledged[-1] == 2
    await partition.offer(2, 3)
    assert partition.engine.offsets == [0, 1]
    # The next generation fetches them again.
    partition.runner.start(2)
    await partition.offer(2, 3, generation=2)
    await until(lambda: partition.committed[-1] == 4)
    assert partition.engine.offsets == [0, 1, 2, 3]
    await partition.runner.close()


async def test_a_batch_that_waited_for_room_does_not_slip_in_after_a_drain() -> None:
    partition = _Partition()
    partition.checkpoint.gate.clear()
    partition.runner.start(1)
    await partition.offer(0)
    await until(lambda: partition.engine.offsets == [0])
    offers = [asyncio.create_task(partition.offer(offset)) for offset in range(1, QUEUE_BATCHES_MAX + 3)]
    await asyncio.sleep(0.01)
    partition.checkpoint.gate.set()
    # The commit ends while the loop is busy, so that runner and waiting offers wake up in the same round.
    time.sleep(0.05)  # noqa: ASYNC251 - on purpose, see above.
    await partition.runner.drain(DEADLINE_S)
    await asyncio.gather(*offers)
    partition.runner.start(2)
    await partition.offer(1, generation=2)
    await until(lambda: partition.committed[-1] >= 2)
    assert partition.engine.offsets == [0, 1]
    await partition.runner.close()


async def test_drain_gives_up_at_its_deadline() -> None:
    partition = _Partition()
    partition.checkpoint.gate.clear()
    partition.runner.start(1)
    await partition.offer(0)
    await until(lambda: partition.engine.offsets)
    with pytest.raises(RestartNeeded, match="counting/0 did not drain"):
        await partition.runner.drain(0.05)
    partition.checkpoint.gate.set()
    await partition.runner.close()


async def test_drain_does_not_wait_for_a_restore_as_nothing_is_applied_yet() -> None:
    partition = _Partition()
    partition.checkpoint.opening.clear()
    partition.runner.start(1)
    await until(lambda: partition.checkpoint.group_offsets)
    await asyncio.wait_for(partition.runner.drain(DEADLINE_S), 1)
    partition.runner.start(2)
    await partition.offer(0, generation=2)
    partition.checkpoint.opening.set()
    await until(lambda: partition.committed == [1])
    await partition.runner.close()


@pytest.mark.parametrize("failure", [StateError("gone"), DeliveryFailed("refused"), Fenced("other"), ValueError("bug")])
async def test_a_failed_commit_is_fatal_and_acknowledges_nothing(failure: Exception) -> None:
    partition = _Partition()
    partition.runner.start(1)
    await partition.offer(0)
    await until(lambda: partition.committed == [1])
    partition.checkpoint.failure = failure
    await partition.offer(1)
    await until(lambda: partition.errors)
    assert partition.errors == [failure]
    assert partition.acknowledged == [0, 1]
    # The drain before the first record, and the first commit.
    assert partition.engine.settlements == 2
    # A partition that ended has nothing to drain.
    await asyncio.wait_for(partition.runner.drain(DEADLINE_S), 1)
    await partition.runner.close()


async def test_a_failed_restore_is_fatal_and_acknowledges_nothing() -> None:
    partition = _Partition()
    partition.checkpoint.failure = StateError("gone")
    partition.runner.start(1)
    await until(lambda: partition.errors)
    assert partition.errors == [partition.checkpoint.failure]
    assert partition.acknowledged == []
    await partition.runner.close()


async def test_an_engine_that_raises_is_fatal_and_acknowledges_nothing() -> None:
    partition = _Partition()
    partition.runner.start(1)

    def apply(_value: bytes, _offset: int) -> None:
        raise ZeroDivisionError

    partition.engine.apply = apply  # type: ignore[method-assign,assignment]
    await partition.offer(0)
    await until(lambda: partition.errors)
    assert isinstance(partition.errors[0], ZeroDivisionError)
    assert partition.acknowledged == [0]
    assert partition.committed == []
    await partition.runner.close()


async def test_close_releases_the_checkpoint() -> None:
    partition = _Partition()
    partition.runner.start(1)
    await until(lambda: partition.acknowledged == [0])
    await partition.runner.close()
    assert partition.checkpoint.closed


async def test_the_last_fault_point_comes_after_the_acknowledgement() -> None:
    passed: list[tuple[str, list[int]]] = []
    acknowledged: list[int] = []
    partition = _Partition(fault=lambda point: passed.append((point, list(acknowledged))))
    partition.acknowledged = acknowledged
    partition.runner.start(1)
    await partition.offer(0)
    await until(lambda: passed)
    assert passed == [(FaultPoint.AFTER_ACKNOWLEDGE, [0, 1])]
    await partition.runner.close()
