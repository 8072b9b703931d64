"""Goal: a record that an engine can't bear costs itself and nothing else. Method: engines that raise half-way."""

import asyncio
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from schemas.errors import DeadCode, GoldenthreadError, RestartNeeded, StoreFailed
from schemas.topics import Catalogue, Topic
from state.engine import Drained, Engine, MemoryRows, Output, Rows
from state.store_cache import shared_cache
from streams.batch import Batch
from streams.bulk import read_all
from streams.checkpoint_options import CheckpointOptions
from streams.kafka import KafkaOptions
from streams.metrics import Metrics
from streams.partition import CheckpointPolicy
from streams.retrying_engine import SET_ASIDE_MAX, RetryingEngine
from streams.stage import StatefulStage
from tests.streams.counting import ROW_PREFIX, CountingEngine, batch_of, counted
from tests.streams.feeding import send
from tests.waiting import until

POISON = b"key-1|poison"


class _Fragile(CountingEngine):
    """Counts a record that it can't bear, and raises only then: half changed."""

    def apply(self, value: bytes, offset: int) -> None:
        super().apply(value, offset)
        if value.endswith(b"poison"):
            raise ZeroDivisionError("what a person said")


class _Once(CountingEngine):
    """Raises once in the life of all engines."""

    raised = 0

    def apply(self, value: bytes, offset: int) -> None:
        super().apply(value, offset)
        if offset == 3 and not _Once.raised:
            _Once.raised += 1
            raise KeyError(offset)


class _Late(_Fragile):
    """Takes in what it is given many of when it is drained, and raises there."""

    def __init__(self, rows: Rows) -> None:
        super().__init__(rows)
        self._queued: list[tuple[bytes, int]] = []

    def apply(self, value: bytes, offset: int) -> None:
        self._take_in()
        super().apply(value, offset)

    def apply_many(self, values: Sequence[bytes], offsets: Sequence[int]) -> None:
        self._queued += zip(values, offsets, strict=True)

    def drain(self) -> Drained:
        self._take_in()
        return super().drain()

    def _take_in(self) -> None:
        queued, self._queued = self._queued, []
        for value, offset in queued:
            super().apply(value, offset)


def _over(rows: Rows, make: Callable[[Rows], Engine] = _Fragile) -> RetryingEngine:
    return RetryingEngine(lambda: make(rows), stage="counting", topic="gt.routed", partition=2)


def _apply(engine: Engine, *values: bytes, start: int = 0) -> None:
    for offset, value in enumerate(values, start):
        engine.apply(value, offset)


def _letters(outputs: Sequence[Output]) -> list[Output]:
    return [output for output in outputs if output.topic == Topic.DEAD]


def test_a_record_that_raises_twice_is_set_aside_and_nothing_of_it_stays() -> None:
    rows = MemoryRows({ROW_PREFIX + b"key-1": b"5"})
    engine = _over(rows)
    _apply(engine, b"key-1|a", b"key-0|b", POISON, b"key-1|c")
    drained = engine.drain()
    assert drained.rows == {ROW_PREFIX + b"key-1": b"7", ROW_PREFIX + b"key-0": b"1"}
    (letter,) = _letters(drained.outputs)
    assert [each.value for each in drained.outputs if each != letter] == [b"key-1|a", b"key-0|b", b"key-1|c"]
    assert letter.value == POISON
    assert dict(letter.headers) == {
        "gt-code": DeadCode.UNREADABLE_MESSAGE.encode(),
        # Not the text, which may hold what a person said.
        "gt-message": b"ZeroDivisionError",
        "gt-pointer": b"",
        "gt-stage": b"counting",
        "gt-topic": b"gt.routed",
        "gt-partition": b"2",
        "gt-offset": b"2",
    }
    assert engine.counts == Counter({"applied": 3, DeadCode.UNREADABLE_MESSAGE.value: 1})


def test_what_was_committed_is_not_applied_again() -> None:
    rows = MemoryRows()
    engine = _over(rows)
    _apply(engine, b"key-1|a", POISON)
    rows.write(engine.drain().rows)
    engine.settled()
    engine.counts.clear()
    _apply(engine, b"key-1|b", POISON, POISON, b"key-1|c", start=2)
    drained = engine.drain()
    assert drained.rows == {ROW_PREFIX + b"key-1": b"3"}
    assert [dict(letter.headers)["gt-offset"] for letter in _letters(drained.outputs)] == [b"3", b"4"]
    assert engine.counts == Counter({"applied": 2, DeadCode.UNREADABLE_MESSAGE.value: 2})


def test_a_record_that_raises_once_is_applied() -> None:
    _Once.raised = 0
    engine = _over(MemoryRows(), _Once)
    _apply(engine, *(b"key|%d" % number for number in range(6)))
    drained = engine.drain()
    assert _Once.raised == 1
    assert drained.rows == {ROW_PREFIX + b"key": b"6"}
    assert [output.value for output in drained.outputs] == [b"key|%d" % number for number in range(6)]


def test_records_that_raise_no_sooner_than_they_are_drained_are_set_aside_too() -> None:
    rows = MemoryRows({ROW_PREFIX + b"key-1": b"5"})
    engine = _over(rows, _Late)
    engine.apply_many([b"key-1|a", POISON], [0, 1])
    engine.apply_many([b"key-0|b", b"key-1|c", POISON, b"key-1|d"], [2, 3, 4, 5])
    drained = engine.drain()
    assert drained.rows == {ROW_PREFIX + b"key-1": b"8", ROW_PREFIX + b"key-0": b"1"}
    letters = _letters(drained.outputs)
    assert [dict(letter.headers)["gt-offset"] for letter in letters] == [b"1", b"4"]
    assert engine.counts == Counter({"applied": 4, DeadCode.UNREADABLE_MESSAGE.value: 2})
    rows.write(drained.rows)
    engine.settled()
    engine.apply_many([b"key-1|e"], [6])
    assert engine.drain() == Drained([Output(Topic.INTERACTIONS, b"key-1", b"key-1|e")], {ROW_PREFIX + b"key-1": b"9"})


def test_a_drain_that_raises_without_a_record_ends_the_worker() -> None:
    class _Broken(CountingEngine):
        def drain(self) -> Drained:
            raise ZeroDivisionError

    for values in ([], [b"key|1"]):
        engine = _over(MemoryRows(), _Broken)
        engine.apply_many(values, range(len(values)))
        with pytest.raises(ZeroDivisionError):
            engine.drain()


@pytest.mark.parametrize("error", [StoreFailed("the disk"), MemoryError(), OSError("disk full")])
def test_what_is_no_records_doing_ends_the_worker(error: Exception) -> None:
    class _Broken(CountingEngine):
        def apply(self, _value: bytes, _offset: int) -> None:
            raise error

    with pytest.raises(type(error)):
        _apply(_over(MemoryRows(), _Broken), b"key|1")


def test_a_topic_is_not_emptied_into_dead() -> None:
    engine = _over(MemoryRows())
    _apply(engine, b"key|1", *[POISON] * SET_ASIDE_MAX)
    assert len(_letters(engine.drain().outputs)) == SET_ASIDE_MAX
    with pytest.raises(RestartNeeded, match="this version, and not the records, is wrong"):
        _apply(engine, POISON)


@pytest.mark.kafka
async def test_the_records_around_one_that_raises_are_committed_once_and_it_lies_in_dead(
    kafka: KafkaOptions, catalogue: Catalogue, tmp_path: Path
) -> None:
    values = [b"key-%d|%d" % (number % 5, number) for number in range(300)]
    values[7:7] = [POISON]
    values.insert(200, POISON)
    send(kafka, catalogue.name(Topic.ROUTED), [(None, value) for value in values])
    options = CheckpointOptions(
        kafka, catalogue, catalogue.prefix, "counting", Topic.ROUTED, Topic.STATE, tmp_path, "f",
        Metrics("test", "1"), shared_cache(8 * 1024 * 1024),
    )  # fmt: skip
    acknowledged: list[int] = []
    failures: list[BaseException] = []

    def make(rows: Rows, _partition: int, _era: int) -> Engine:
        return _Fragile(rows)

    stage = StatefulStage(
        options,
        make,
        acknowledge=lambda _topic, _partition, offset: acknowledged.append(offset),
        policy=CheckpointPolicy(interval_ms=20, events_max=60, pause_ms=1),
        fatal=failures.append,
    )
    await stage.assigned([(catalogue.name(Topic.ROUTED), 0)], 1)
    records: list[Any] = [
        record._replace(offset=offset, value=value)
        for offset, (record, value) in enumerate(zip(batch_of(range(len(values))), values, strict=True))
    ]
    for start in range(0, len(records), 25):
        await stage.offer(Batch(catalogue.name(Topic.ROUTED), 0, 1, records[start : start + 25]))
    await until(lambda: failures or (acknowledged and acknowledged[-1] == len(values)))
    await stage.drain()
    await stage.close()
    assert failures == []
    good = [value for value in values if value != POISON]
    counts, outputs = await asyncio.to_thread(counted, kafka, catalogue)
    assert outputs == Counter(good)
    assert counts == Counter(value.split(b"|")[0] for value in good)
    dead = await asyncio.to_thread(lambda: list(read_all(kafka, catalogue.name(Topic.DEAD), 1)))
    assert [record.value for record in dead] == [POISON, POISON]


def test_every_error_of_ours_says_itself_what_has_to_be_done() -> None:
    # The rule rests on it: an engine's own errors are never taken for a record's doing.
    assert issubclass(StoreFailed, GoldenthreadError)
