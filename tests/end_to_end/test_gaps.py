"""Whatever is gone stops a worker with words; accepting it heals, and contexts are exact for what exists."""

from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any

import pytest
from confluent_kafka import Producer

from bench.generator import Plan, generate
from schemas.topics import DEFAULT_CHANNELS, RAW, Topic
from streams.bulk import partition_range
from tests.end_to_end.conftest import SystemMaker
from tests.end_to_end.lone_worker import LoneWorker, WorkerMaker

pytestmark = [pytest.mark.kafka, pytest.mark.timeout(600)]
PARTITIONS = 2
#: A routed record cut short, a fault that comes while the context stage has much to do.
DIES_WITH_ROUTED_UNREAD = {"GOLDENTHREAD_FAULT": "context/before_transaction:3"}


@pytest.fixture
def make_worker(make_system: SystemMaker) -> Iterator[WorkerMaker]:
    with ExitStack() as stack:

        def make(name: str, **settings: str) -> LoneWorker:
            system = make_system(name, GOLDENTHREAD_PARTITIONS=str(PARTITIONS), **settings)
            return stack.enter_context(LoneWorker(system, DEFAULT_CHANNELS, PARTITIONS))

        yield make


def stream(seed: int, events: int = 240) -> list[dict[str, Any]]:
    """Few customers with many identifiers, so that there is much to own; each event once."""
    return list(generate(Plan(customers=12, events=events, seed=seed, duplicate_share=0)))


def test_inputs_made_again_while_events_waited_in_them_lose_nothing_that_raw_topics_have(
    make_worker: WorkerMaker,
) -> None:
    events = stream(1)
    worker = make_worker("made-again")
    worker.send(events[:120])
    worker.work_off()
    worker.send(events[120:])
    worker.start(**DIES_WITH_ROUTED_UNREAD).ended()
    worker.make_again(Topic.ROUTED, Topic.EVIDENCE)
    worker.refuses("made again", worker.catalogue.name(Topic.ROUTED), worker.catalogue.name(Topic.EVIDENCE))
    summary = worker.accept()
    assert summary["announces"]
    assert summary["replays"]
    worker.work_off()
    worker.assert_exact(events)
    assert worker.position(Topic.ROUTED, 0)[0] == 1
    assert "a test" in worker.system.run("state", "gaps").stdout


@pytest.mark.drill
def test_positions_that_retention_has_overtaken_go_on_and_what_raw_has_is_routed_again(
    make_worker: WorkerMaker,
) -> None:
    events = stream(2)
    worker = make_worker("overtaken")
    worker.send(events[:120])
    worker.work_off()
    worker.send(events[120:])
    worker.start(**DIES_WITH_ROUTED_UNREAD).ended()
    for number in range(PARTITIONS):
        _, end = partition_range(worker.kafka, worker.catalogue.name(Topic.ROUTED), number)
        worker.delete_records(Topic.ROUTED, number, end)
    worker.refuses("are gone unread", worker.catalogue.name(Topic.ROUTED))
    dry = worker.system.run("state", "accept-gap")
    assert dry.returncode == 1
    assert "Nothing was changed" in dry.stdout
    worker.accept()
    worker.work_off()
    worker.assert_exact(events)


@pytest.mark.drill
def test_raw_events_that_are_gone_unread_are_told_and_the_rest_is_exact(make_worker: WorkerMaker) -> None:
    events = stream(3)
    worker = make_worker("raw-gone")
    worker.send(events[:120])
    worker.work_off()
    worker.send(events[120:180])
    for channel in DEFAULT_CHANNELS:
        for number in range(PARTITIONS):
            _, end = partition_range(worker.kafka, worker.catalogue.raw(channel), number)
            worker.delete_records(RAW + channel, number, end)
    worker.send(events[180:])
    worker.refuses("are gone unread", f"{worker.catalogue.prefix}raw.")
    assert not worker.accept()["announces"]
    worker.work_off()
    worker.assert_exact([*events[:120], *events[180:]])


@pytest.mark.drill
def test_records_deleted_before_a_running_worker_stop_it_with_words(make_worker: WorkerMaker) -> None:
    events = stream(4)
    worker = make_worker("overtaken-running")
    worker.send(events)
    worker.work_off()
    # It stands at the end of its log; what is deleted next is behind it, and of a former life.
    producer = Producer(worker.kafka.producer())
    topic = worker.catalogue.raw("web")
    worker.start(GOLDENTHREAD_FAULT="intake/intake_before_produce:1=wait-20")
    for number in range(20_000):
        producer.produce(topic, b"{%d" % number, partition=0)
        producer.poll(0)
    assert producer.flush(30) == 0
    _, end = partition_range(worker.kafka, topic, 0)
    worker.delete_records(f"{RAW}web", 0, end)
    producer.produce(topic, b"{", partition=0)
    assert producer.flush(30) == 0
    worker.has_ended_with(topic)
    worker.accept()
    worker.work_off()
    worker.assert_exact(events)


@pytest.mark.drill
def test_group_offsets_that_are_gone_lose_nothing(make_worker: WorkerMaker) -> None:
    events = stream(5)
    worker = make_worker("offsets-gone")
    worker.send(events)
    worker.work_off()
    worker.wait_without_members()
    worker.forget_offsets(Topic.ROUTED, Topic.EVIDENCE)
    worker.refuses("the group's offset is gone", worker.catalogue.name(Topic.ROUTED))
    summary = worker.accept()
    assert not any(gap["lost"] for gap in summary["gaps"])
    assert not summary["replays"]
    worker.work_off()
    worker.wait_without_members()
    # Of raw topics nobody knows where they stood: all is read again, and recognised.
    worker.forget_offsets(*(RAW + channel for channel in DEFAULT_CHANNELS))
    worker.refuses("the group's offset is gone", f"{worker.catalogue.prefix}raw.")
    worker.accept()
    worker.work_off()
    worker.assert_exact(events)


@pytest.mark.drill
@pytest.mark.parametrize("topics", [(Topic.STATE,), (Topic.LINKS,), (Topic.STATE, Topic.LINKS)], ids="+".join)
def test_changelogs_made_again_are_filled_from_what_the_inputs_have(
    make_worker: WorkerMaker, topics: tuple[Topic, ...]
) -> None:
    events = stream(6)
    worker = make_worker("state-gone")
    worker.send(events[:160])
    worker.work_off()
    worker.make_again(*topics)
    worker.refuses("the state is gone", worker.catalogue.name(topics[0]))
    assert worker.accept()["announces"]
    worker.send(events[160:])
    worker.work_off()
    # What was shown before the state was lost may be shown again.
    worker.assert_contexts(events)
    assert worker.interactions().keys() == {(event["source"], event["id"]) for event in events}


@pytest.mark.drill
def test_a_log_that_lost_its_tail_goes_on_from_its_begin(make_worker: WorkerMaker) -> None:
    events = stream(7)
    worker = make_worker("shorter")
    worker.send(events[:120])
    worker.work_off()
    worker.wait_without_members()
    # The position is past the end, as after a broker that lost what it had not written to its disk.
    worker.move_position(Topic.ROUTED, 0, 1_000_000)
    worker.refuses("lost its tail", f"{worker.catalogue.name(Topic.ROUTED)}/0")
    worker.accept()
    worker.send(events[120:])
    worker.work_off()
    worker.assert_exact(events)


@pytest.mark.drill
def test_another_number_of_partitions_is_no_gap(make_worker: WorkerMaker) -> None:
    worker = make_worker("partitions")
    worker.send(stream(8, 40))
    worker.work_off()
    worker.grow(Topic.ROUTED)
    worker.start()
    assert worker.ended() == 4
    words = worker.log_file.read_text().splitlines()[-1]
    assert "has 3 partitions, 2 are needed" in words
    assert "docs/gaps.md" in words
    done = worker.system.run("state", "accept-gap", "--yes", "--reason", "a test")
    assert done.returncode == 4


@pytest.mark.drill
def test_workers_that_run_keep_a_gap_from_being_accepted(make_worker: WorkerMaker) -> None:
    worker = make_worker("members")
    worker.start()
    worker.wait_for_members()
    done = worker.system.run("state", "accept-gap", "--yes", "--reason", "a test")
    assert done.returncode == 4
    assert "stop all of them first" in done.stderr
    worker.stop()
