"""Goal: a raw record is acknowledged only once its outputs are. Method: a recording producer that a test makes fail."""

import asyncio
import threading
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from itertools import chain
from typing import Any

from schemas.errors import DeadCode, DeliveryFailed, RestartNeeded
from schemas.topics import Catalogue, Partition, Topic
from state.engine import Output
from streams.batch import Batch
from streams.faults import FaultPoint
from streams.metrics import Metrics
from streams.outbox import OUTSTANDING_SIZE_BYTES_MAX, Outbox
from streams.partition import QUEUE_BATCHES_MAX
from streams.recording_producer import RecordingProducer
from streams.stateless import RECORDS_PER_FLUSH_MAX, SLICE_SIZE_BYTES, IdleEnds, Prepare, StatelessStage
from tests.streams.counting import InputRecord
from tests.waiting import until

CATALOGUE = Catalogue(channels=("web", "crm"))
WEB = CATALOGUE.raw("web")
CRM = CATALOGUE.raw("crm")
DEADLINE_S = 10.0


class _Echo:
    """One output per record; a record `bad` is a dead letter."""

    def __init__(self) -> None:
        self.counts: Counter[str] = Counter()
        self.handled: list[tuple[str, int]] = []
        self.acknowledgements = 0

    def handle_many(self, parts: Sequence[Batch], outbox: Outbox) -> None:
        for record in chain.from_iterable(part.placed() for part in parts):
            outbox.put_each(self.handle(record))

    def handle(self, record: Any) -> list[Output]:
        self.handled.append((record.topic, record.offset))
        if record.value == b"bug":
            raise ZeroDivisionError
        outcome = DeadCode.NOT_JSON.value if record.value == b"bad" else "routed"
        self.counts[outcome] += 1
        return [Output(Topic.ROUTED, b"key", record.value, (("h", b"1"),))]

    def acknowledged(self) -> None:
        self.acknowledgements += 1


class _GatedProducer(RecordingProducer):
    """A recording producer whose flush waits for a gate."""

    def __init__(self, catalogue: Catalogue) -> None:
        super().__init__(catalogue)
        self.gate = threading.Event()
        self.gate.set()
        self.flushes = 0

    def flush(self, timeout_s: float) -> None:
        assert self.gate.wait(DEADLINE_S)
        self.flushes += 1
        super().flush(timeout_s)


class _Intake:
    """A stage with all that it touches."""

    def __init__(
        self, prepare: Prepare | None = None, idle_ends: IdleEnds | None = None, handler: _Echo | None = None
    ) -> None:
        self.handler = handler or _Echo()
        self.producer = _GatedProducer(CATALOGUE)
        self.metrics = Metrics("test", "1")
        self.events: list[tuple[str, Any]] = []
        self.stage = StatelessStage(
            "intake",
            (WEB, CRM),
            self.handler,
            catalogue=CATALOGUE,
            producer=self.producer,
            acknowledge=lambda topic, partition, offset: self.events.append(("ack", (topic, partition, offset))),
            metrics=self.metrics,
            fatal=lambda error: self.events.append(("fatal", error)),
            fault=lambda point: self.events.append((point, self.producer.flushes)),
            prepare=prepare,
            idle_ends=idle_ends,
            idle_s=0.05,
        )

    async def start(self, generation: int = 1) -> None:
        await self.stage.assigned([(WEB, 0), (CRM, 0), ("gt.routed", 0)], generation)

    async def offer(self, *offsets: int, topic: str = WEB, generation: int = 1, value: bytes = b"v") -> None:
        records = [InputRecord(offset, value, topic=topic) for offset in offsets]
        await self.stage.offer(Batch(topic, 0, generation, records))

    def of(self, kind: str) -> list[Any]:
        return [what for name, what in self.events if name == kind]


async def test_records_are_acknowledged_after_the_flush_of_their_outputs() -> None:
    intake = _Intake()
    intake.producer.gate.clear()
    await intake.start()
    await intake.offer(4, 5, 9)
    await until(lambda: intake.of(FaultPoint.INTAKE_AFTER_PRODUCE))
    await asyncio.sleep(0.02)
    assert intake.of("ack") == []
    assert intake.handler.acknowledgements == 0
    intake.producer.gate.set()
    await until(lambda: intake.of("ack"))
    assert intake.events == [
        (FaultPoint.INTAKE_BEFORE_PRODUCE, 0),
        (FaultPoint.INTAKE_AFTER_PRODUCE, 0),
        (FaultPoint.INTAKE_AFTER_FLUSH, 1),
        ("ack", (WEB, 0, 10)),
        (FaultPoint.INTAKE_AFTER_ACKNOWLEDGE, 1),
    ]
    assert intake.handler.acknowledgements == 1
    assert [(record.topic, record.key, record.value, record.headers) for record in intake.producer.records] == [
        ("gt.routed", b"key", b"v", (("h", b"1"),))
    ] * 3
    await intake.stage.close()


async def test_a_batch_that_does_not_follow_what_was_handled_is_fatal() -> None:
    intake = _Intake()
    await intake.start()
    await intake.offer(4, 5)
    await intake.stage.offer(Batch(WEB, 0, 1, [InputRecord(9, b"v", topic=WEB)], previous=5))
    await until(lambda: ("ack", (WEB, 0, 10)) in intake.events)
    await intake.stage.offer(Batch(WEB, 0, 1, [InputRecord(20, b"v", topic=WEB)], previous=15))
    await until(lambda: intake.of("fatal"))
    assert intake.of("ack")[-1] == (WEB, 0, 10)
    # Another generation begins at the committed offset, whatever this one has seen.
    again = _Intake()
    await again.start()
    await again.stage.offer(Batch(WEB, 0, 1, [InputRecord(20, b"v", topic=WEB)], previous=15))
    await until(lambda: again.of("fatal"))
    await intake.stage.close()
    await again.stage.close()


async def test_outputs_of_a_topic_stay_in_order_with_headers_and_without_them_and_letters_among_them() -> None:
    intake = _Intake()

    def handle(record: Any) -> list[Output]:
        name = b"%d" % record.offset
        if record.offset % 5 == 4:
            return [Output(Topic.DEAD, None, name, (("gt-code", b"not_json"),))]
        headers = (("h", b"1"),) if record.offset % 3 == 1 else ()
        return [Output(Topic.ROUTED, b"key", name, headers), Output(Topic.EVIDENCE, None, name)]

    intake.handler.handle = handle  # type: ignore[method-assign]
    await intake.start()
    await intake.offer(*range(1200))
    await until(lambda: intake.of("ack"))
    by_topic: dict[str, list[int]] = {}
    for record in intake.producer.records:
        by_topic.setdefault(record.topic, []).append(int(record.value or b""))
    said = [offset for offset in range(1200) if offset % 5 != 4]
    assert by_topic == {
        "gt.routed": said,
        "gt.identity.evidence": said,
        "gt.dead": [offset for offset in range(1200) if offset % 5 == 4],
    }
    routed = [record for record in intake.producer.records if record.topic == "gt.routed"]
    assert all(bool(record.headers) == (int(record.value or b"") % 3 == 1) for record in routed)
    assert intake.of(FaultPoint.INTAKE_BEFORE_DEAD) == intake.of(FaultPoint.INTAKE_AFTER_DEAD) == [0] * 240
    await intake.stage.close()


async def test_a_failed_flush_is_fatal_and_acknowledges_nothing() -> None:
    intake = _Intake()
    intake.producer.failure = "broker said no"
    await intake.start()
    await intake.offer(0)
    await until(lambda: intake.of("fatal"))
    assert isinstance(intake.of("fatal")[0], DeliveryFailed)
    assert intake.of("ack") == []
    # What the handler said is not in the log, so it must not take it for known.
    assert intake.handler.acknowledgements == 0
    await asyncio.wait_for(intake.stage.drain(), 1)
    await intake.stage.close()


async def test_a_handler_that_raises_is_fatal_and_acknowledges_nothing() -> None:
    intake = _Intake()
    await intake.start()
    await intake.offer(0, value=b"bug")
    await until(lambda: intake.of("fatal"))
    assert isinstance(intake.of("fatal")[0], ZeroDivisionError)
    assert intake.of("ack") == []
    await intake.stage.close()


async def test_batches_of_several_partitions_share_a_flush() -> None:
    intake = _Intake()
    await intake.start()
    intake.producer.gate.clear()
    await intake.offer(0)
    await until(lambda: intake.of(FaultPoint.INTAKE_AFTER_PRODUCE))
    await intake.offer(1)
    await intake.offer(7, topic=CRM)
    await intake.offer(2, 3)
    intake.producer.gate.set()
    await until(lambda: len(intake.of("ack")) == 3)
    assert intake.of("ack") == [(WEB, 0, 1), (WEB, 0, 4), (CRM, 0, 8)]
    assert intake.producer.flushes == 2
    await intake.stage.close()


async def test_a_flush_comes_after_so_many_records() -> None:
    intake = _Intake()
    await intake.start()
    intake.producer.gate.clear()
    await intake.offer(0)
    await until(lambda: intake.of(FaultPoint.INTAKE_AFTER_PRODUCE))
    half = RECORDS_PER_FLUSH_MAX // 2
    for start in (1, 1 + half, 1 + 2 * half):
        await intake.offer(*range(start, start + half))
    intake.producer.gate.set()
    await until(lambda: intake.of("ack") and intake.of("ack")[-1] == (WEB, 0, 1 + 3 * half))
    assert intake.of("ack") == [(WEB, 0, 1), (WEB, 0, 1 + 2 * half), (WEB, 0, 1 + 3 * half)]
    await intake.stage.close()


async def test_what_waits_for_its_acknowledgement_is_bounded_and_a_flush_makes_room() -> None:
    intake = _Intake()
    await intake.start()
    intake.producer.outstanding_bytes = OUTSTANDING_SIZE_BYTES_MAX + 1
    # What each part of the records comes to is handed over: the first is large enough for a part of its own.
    await intake.stage.offer(
        Batch(WEB, 0, 1, [InputRecord(0, b"v" * (SLICE_SIZE_BYTES + 1), topic=WEB), InputRecord(0, b"v", topic=WEB)])
    )
    await until(lambda: len(intake.of("ack")) == 1)
    assert intake.producer.flushes == 3
    await intake.offer(1, 2)
    await until(lambda: len(intake.of("ack")) == 2)
    assert intake.of("ack") == [(WEB, 0, 1), (WEB, 0, 3)]
    assert intake.producer.flushes == 5
    await intake.stage.close()


async def test_a_batch_that_comes_twice_takes_nothing_back() -> None:
    intake = _Intake()
    await intake.start()
    await intake.offer(0, 1, 2)
    await until(lambda: intake.of("ack"))
    await intake.offer(0, 1)
    await intake.offer(3)
    await until(lambda: (WEB, 0, 4) in intake.of("ack"))
    assert intake.of("ack") == [(WEB, 0, 3), (WEB, 0, 4)]
    assert len(intake.handler.handled) == 6
    await intake.stage.close()


async def test_the_queue_is_bounded() -> None:
    intake = _Intake()
    await intake.start()
    intake.producer.gate.clear()
    await intake.offer(0)
    await until(lambda: intake.of(FaultPoint.INTAKE_AFTER_PRODUCE))
    offers = [asyncio.create_task(intake.offer(offset)) for offset in range(1, QUEUE_BATCHES_MAX + 4)]
    await asyncio.sleep(0.05)
    assert sum(offer.done() for offer in offers) == QUEUE_BATCHES_MAX
    intake.producer.gate.set()
    await asyncio.gather(*offers)
    await until(lambda: intake.of("ack")[-1] == (WEB, 0, QUEUE_BATCHES_MAX + 4))
    await intake.stage.close()


async def test_batches_of_another_generation_are_dropped() -> None:
    intake = _Intake()
    await intake.start(generation=2)
    await intake.offer(0, generation=1)
    await intake.offer(5, generation=2)
    await until(lambda: intake.of("ack"))
    assert intake.handler.handled == [(WEB, 5)]
    await intake.stage.close()


async def test_drain_acknowledges_what_is_handled_and_drops_the_rest() -> None:
    intake = _Intake()
    await intake.start()
    intake.producer.gate.clear()
    await intake.offer(0)
    await until(lambda: intake.of(FaultPoint.INTAKE_AFTER_PRODUCE))
    await intake.offer(1)
    draining = asyncio.create_task(intake.stage.drain())
    await asyncio.sleep(0.02)
    assert not draining.done()
    intake.producer.gate.set()
    await draining
    assert intake.of("ack") == [(WEB, 0, 1)]
    await intake.start(generation=2)
    await intake.offer(1, generation=2)
    await until(lambda: intake.of("ack")[-1] == (WEB, 0, 2))
    assert intake.handler.handled == [(WEB, 0), (WEB, 1)]
    await intake.stage.close()


async def test_a_batch_that_waited_for_room_does_not_slip_in_after_a_drain() -> None:
    intake = _Intake()
    await intake.start()
    intake.producer.gate.clear()
    await intake.offer(0)
    await until(lambda: intake.of(FaultPoint.INTAKE_AFTER_PRODUCE))
    offers = [asyncio.create_task(intake.offer(offset)) for offset in range(1, QUEUE_BATCHES_MAX + 3)]
    await asyncio.sleep(0.01)
    intake.producer.gate.set()
    # The flush ends while the loop is busy, so that stage and waiting offers wake up in the same round.
    time.sleep(0.05)  # noqa: ASYNC251 - on purpose, see above.
    await intake.stage.drain()
    await asyncio.gather(*offers)
    await intake.start(generation=2)
    await intake.offer(1, generation=2)
    await until(lambda: intake.of("ack")[-1] != (WEB, 0, 1))
    # Acknowledging a later one would lose those between that were dropped.
    assert intake.of("ack") == [(WEB, 0, 1), (WEB, 0, 2)]
    await intake.stage.close()


async def test_what_became_of_events_is_counted() -> None:
    intake = _Intake()
    await intake.start()
    await intake.offer(0, 1)
    await intake.offer(2, value=b"bad")
    await until(lambda: intake.of("ack") and intake.of("ack")[-1] == (WEB, 0, 3))
    value = intake.metrics.registry.get_sample_value
    await until(lambda: value("goldenthread_dead_letters_total", {"stage": "intake", "code": "not_json"}) == 1)
    assert value("goldenthread_events_processed_total", {"stage": "intake", "outcome": "routed"}) == 2
    assert value("goldenthread_events_received_total", {"stage": "intake", "channel": "web"}) == 3
    assert value("goldenthread_assigned_partitions", {"stage": "intake"}) == 2
    await intake.stage.close()


async def test_a_batch_is_handled_once_it_is_prepared_and_acknowledged_after_that() -> None:
    ready = asyncio.Event()

    async def prepare(_records: Sequence[Any], wanted: Callable[[], bool]) -> bool:
        await ready.wait()
        return wanted()

    intake = _Intake(prepare)
    await intake.start()
    await intake.offer(1)
    await asyncio.sleep(0.02)
    assert (intake.handler.handled, intake.of("ack")) == ([], [])
    ready.set()
    await until(lambda: intake.of("ack") == [(WEB, 0, 2)])
    await intake.stage.close()


async def test_batches_that_are_handled_together_are_prepared_together() -> None:
    prepared: list[set[tuple[str, int]]] = []
    unprepared: list[tuple[str, int]] = []

    async def prepare(records: Sequence[Any], _wanted: Callable[[], bool]) -> bool:
        # What is prepared next takes the place of what was prepared before.
        prepared.append({(record.topic, record.offset) for record in records})
        await asyncio.sleep(0)
        return True

    class _Strict(_Echo):
        def handle(self, record: Any) -> list[Output]:
            if (record.topic, record.offset) not in prepared[-1]:
                unprepared.append((record.topic, record.offset))
            return super().handle(record)

    intake = _Intake(prepare, handler=_Strict())
    await intake.start()
    await intake.offer(1, 2)
    await intake.offer(7, topic=CRM)
    await intake.offer(3)
    await until(lambda: len(intake.handler.handled) == 4)
    assert unprepared == []
    assert prepared[0] == {(WEB, 1), (WEB, 2), (CRM, 7), (WEB, 3)}, "they were not gathered: the test says nothing"
    await intake.stage.close()


async def test_a_batch_that_is_drained_before_it_is_prepared_is_fetched_again() -> None:
    async def prepare(_records: Sequence[Any], wanted: Callable[[], bool]) -> bool:
        while wanted():  # noqa: ASYNC110 - it polls, as the real one does.
            await asyncio.sleep(0.002)
        return False

    intake = _Intake(prepare)
    await intake.start()
    await intake.offer(1)
    await asyncio.wait_for(intake.stage.drain(), DEADLINE_S)
    assert (intake.handler.handled, intake.of("ack"), intake.of("fatal")) == ([], [], [])
    await intake.stage.close()


async def test_what_can_not_be_prepared_ends_the_process_with_nothing_acknowledged() -> None:
    async def prepare(_records: Sequence[Any], _wanted: Callable[[], bool]) -> bool:
        raise RestartNeeded("the registry is away")

    intake = _Intake(prepare)
    await intake.start()
    await intake.offer(1)
    await until(lambda: intake.of("fatal"))
    assert (intake.handler.handled, intake.of("ack")) == ([], [])
    await intake.stage.close()


class _Look:
    """Looks at idle partitions that a test answers; `gate` holds them up."""

    def __init__(self, ends: Mapping[Partition, int]) -> None:
        self.ends = ends
        self.asked: list[list[Partition]] = []
        self.gate = threading.Event()
        self.gate.set()

    def __call__(self, places: Sequence[Partition]) -> Mapping[Partition, int]:
        self.asked.append(list(places))
        ends = self.ends
        assert self.gate.wait(DEADLINE_S)
        return ends


async def test_the_ends_of_idle_partitions_are_acknowledged_once() -> None:
    look = _Look({(CRM, 0): 7, (WEB, 0): 4})
    intake = _Intake(idle_ends=look)
    await intake.start()
    await until(lambda: len(look.asked) >= 3)
    assert look.asked[0] == [(CRM, 0), (WEB, 0)]
    assert intake.of("ack") == [(CRM, 0, 7), (WEB, 0, 4)]
    # Records that come afterwards are taken in as ever.
    await intake.offer(9)
    await until(lambda: (WEB, 0, 10) in intake.of("ack"))
    assert intake.of("fatal") == []
    await intake.stage.close()


async def test_a_busy_partition_is_not_looked_at_and_hides_no_idle_one() -> None:
    look = _Look({(CRM, 0): 7})
    intake = _Intake(idle_ends=look)
    await intake.start()
    offset = 0
    while (CRM, 0, 7) not in intake.of("ack"):
        await intake.offer(offset)
        offset += 1
        await asyncio.sleep(0.005)
    assert [(CRM, 0)] in look.asked
    await intake.stage.close()


async def test_an_end_that_was_seen_takes_back_nothing_that_was_done_meanwhile() -> None:
    look = _Look({(WEB, 0): 4})
    look.gate.clear()
    intake = _Intake(idle_ends=look)
    await intake.start()
    await until(lambda: look.asked)
    await intake.offer(5, 6)
    await until(lambda: intake.of("ack"))
    look.gate.set()
    await until(lambda: len(look.asked) > 1)
    assert intake.of("ack") == [(WEB, 0, 7)]
    await intake.stage.close()


async def test_a_look_that_ends_after_a_drain_acknowledges_nothing() -> None:
    look = _Look({(WEB, 0): 4})
    look.gate.clear()
    intake = _Intake(idle_ends=look)
    await intake.start()
    await until(lambda: look.asked)
    await intake.stage.drain()
    await intake.start(2)
    look.ends = {}
    look.gate.set()
    await until(lambda: len(look.asked) > 1)
    assert (intake.of("ack"), intake.of("fatal")) == ([], [])
    await intake.stage.close()


async def test_a_look_that_fails_in_a_way_not_provided_for_is_fatal() -> None:
    def look(_places: Sequence[Partition]) -> Mapping[Partition, int]:
        raise ZeroDivisionError

    intake = _Intake(idle_ends=look)
    await intake.start()
    await until(lambda: intake.of("fatal"))
    assert isinstance(intake.of("fatal")[0], ZeroDivisionError)
    await intake.stage.close()
