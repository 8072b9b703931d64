"""A worker by itself, without `up`: whoever tests gaps has to stop it, hurt topics, and see how it ends."""

import subprocess
from collections import Counter
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, Final, Self

import msgspec
from confluent_kafka import TopicPartition
from confluent_kafka.admin import AdminClient, NewPartitions

from agents.stages import stateful_stages
from bench.compare import document_differences
from bench.generator import load_sources
from bench.oracle import expect
from bench.play import play_to_kafka
from schemas.identifiers import Identifier
from schemas.keys import Keyring
from schemas.rows import encode_row
from schemas.topics import POSITION_KEY, Catalogue, Topic
from streams.bulk import Record, partition_range, read_all, read_to_end
from streams.checkpoint_options import transactional_id
from streams.gap_search import read_changelog
from streams.group import commit_offsets, members, read_offsets
from streams.kafka import KafkaOptions
from streams.transaction import TransactionalProducer
from tests.running_system import SECRET, RunningSystem
from tests.waiting import SYSTEM_DEADLINE_S, wait_until

_ANSWER_S: Final = 30.0


class LoneWorker:
    """An installation of topics and one worker, on a broker that others use too."""

    def __init__(self, system: RunningSystem, channels: tuple[str, ...], partitions: int) -> None:
        self.system = system
        self.catalogue = Catalogue(system.prefix, partitions, channels)
        self.kafka = KafkaOptions(system.environment["KAFKA_BOOTSTRAP_SERVERS"])
        self.application = system.environment["GOLDENTHREAD_APPLICATION"]
        self._admin = AdminClient(self.kafka.admin())
        self._process: subprocess.Popen[bytes] | None = None
        self._starts = 0
        self.init()

    def __enter__(self) -> Self:
        """Nothing: `start` starts."""
        return self

    def __exit__(self, *_error: object) -> None:
        """Leave no process behind."""
        if self._process is not None and self._process.poll() is None:
            self._process.kill()
            self._process.wait()

    @property
    def log_file(self) -> Path:
        """What the present start has written."""
        return self.system.folder / f"worker-{self._starts}.log"

    def init(self) -> None:
        """`goldenthread init`."""
        done = self.system.run("init")
        assert done.returncode == 0, done.stderr

    def start(self, **settings: str) -> Self:
        """Start it; it may end at once."""
        self._starts += 1
        with self.log_file.open("wb") as log:
            self._process = subprocess.Popen(
                [*self.system.program, "worker"], cwd=self.system.folder, env=self.system.environment | settings,
                stdin=subprocess.DEVNULL, stdout=log, stderr=log,
            )  # fmt: skip
        return self

    def ended(self) -> int:
        """How it ends by itself."""
        assert self._process is not None
        return self._process.wait(SYSTEM_DEADLINE_S)

    def stop(self) -> None:
        """End it in order."""
        assert self._process is not None
        self._process.terminate()
        assert self.ended() == 0, self.log_file.read_text()

    def refuses(self, *words: str) -> None:
        """Start it, and see it end by 4 with these words."""
        self.start()
        self.has_ended_with(*words)

    def has_ended_with(self, *words: str) -> None:
        """It ends by 4, with these words in its last line."""
        assert self.ended() == 4, self.log_file.read_text()
        last = self.log_file.read_text().splitlines()[-1]
        for word in (*words, "goldenthread state accept-gap"):
            assert word in last, last

    def accept(self, *options: str) -> dict[str, Any]:
        """Accept all gaps; what was accepted."""
        done = self.system.run("state", "accept-gap", "--yes", "--reason", "a test", "--json", *options)
        assert done.returncode == 0, done.stderr
        summary: dict[str, Any] = msgspec.json.decode(done.stdout)
        assert summary["accepted"], summary
        return summary

    def send(self, events: Iterable[dict[str, Any]]) -> None:
        """Straight to the raw topics."""
        play_to_kafka(events, self.kafka.bootstrap_servers, None, prefix=self.catalogue.prefix)

    def is_quiet(self) -> bool:
        """Whether all that is in the topics is applied."""
        read = self.catalogue.read_by_workers()
        offsets = read_offsets(
            self.kafka, self.application, [(topic, number) for topic in read for number in range(read[topic])]
        )
        for (topic, number), offset in offsets.items():
            low, high = partition_range(self.kafka, topic, number)
            if offset is None:
                return False
            # Logs end with markers of transactions, which nobody acknowledges.
            waiting: list[Record] = []
            if max(low, offset.offset) < high:
                read_to_end(self.kafka, topic, number, max(low, offset.offset), waiting.extend)
            if waiting:
                return False
        return True

    def work_off(self) -> None:
        """Start it, let it do all there is to do, and stop it."""
        self.start()
        wait_until(lambda: self.has_ended() or (self.has_opened() and self.is_quiet()), "quiet")
        self.stop()

    def has_ended(self) -> bool:
        """Whether it ended by itself."""
        return self._process is not None and self._process.poll() is not None

    def has_opened(self) -> bool:
        """Whether it has all partitions of both stateful stages."""
        return self.log_file.read_text().count('"partition restored"') == self.catalogue.partitions + 1

    def delete(self, *topics: str) -> None:
        """Delete topics, and wait until they are gone."""
        names = [self.catalogue.name(topic) for topic in topics]
        for future in self._admin.delete_topics(names).values():
            future.result(_ANSWER_S)
        wait_until(lambda: not set(names) & self._admin.list_topics(timeout=_ANSWER_S).topics.keys(), "deleted")

    def make_again(self, *topics: str) -> None:
        """Delete topics and make them again, as `init` does."""
        self.delete(*topics)
        self.init()

    def grow(self, topic: str) -> None:
        """Give a topic one partition more, as only an operator can."""
        wanted = [NewPartitions(self.catalogue.name(topic), self.catalogue.partitions_of(topic) + 1)]
        for future in self._admin.create_partitions(wanted).values():
            future.result(_ANSWER_S)

    def delete_records(self, topic: str, partition: int, before: int) -> None:
        """What retention does: nothing is left below an offset."""
        wanted = [TopicPartition(self.catalogue.name(topic), partition, before)]
        for future in self._admin.delete_records(wanted).values():
            future.result(_ANSWER_S)

    def forget_offsets(self, *topics: str) -> None:
        """What expiry does: the group has no offset of a topic any more; it must have no members."""
        read = self.catalogue.read_by_workers()
        places = [(topic, number) for topic in read for number in range(read[topic])]
        gone = {self.catalogue.name(topic) for topic in topics}
        offsets = read_offsets(self.kafka, self.application, places)
        # The client can delete groups, not single offsets.
        for future in self._admin.delete_consumer_groups([self.application]).values():
            future.result(_ANSWER_S)
        kept = {place: offset for place, offset in offsets.items() if offset is not None and place[0] not in gone}
        commit_offsets(self.kafka, self.application, kept)

    def wait_without_members(self) -> None:
        """Until the session of a worker that stopped has run out."""
        wait_until(lambda: not members(self.kafka, self.application), "a group without members")

    def wait_for_members(self) -> None:
        """Until the worker is in its group."""
        wait_until(lambda: members(self.kafka, self.application), "a group with a member")

    def move_position(self, topic: Topic, partition: int, next_offset: int) -> None:
        """Write a position as if more had been applied than the log has."""
        stage = next(one for one in stateful_stages(self.catalogue) if one.input == self.catalogue.name(topic))
        found = read_changelog(self.kafka, stage.changelog, partition).position
        assert found is not None
        row = msgspec.structs.replace(found, next_offset=next_offset)
        producer = TransactionalProducer(self.kafka, transactional_id(self.application, stage.stage, partition))
        producer.fence()
        producer.begin()
        producer.produce(stage.changelog, partition, POSITION_KEY, encode_row(row))
        producer.commit()
        producer.close()

    def position(self, topic: str, partition: int) -> tuple[int, int]:
        """Era and next offset that the changelog of an input partition says."""
        changelog = self.catalogue.name(Topic.LINKS if topic == Topic.EVIDENCE else Topic.STATE)
        position = read_changelog(self.kafka, changelog, partition).position
        assert position is not None
        return position.era, position.next_offset

    def assert_exact(self, events: Iterable[dict[str, Any]]) -> None:
        """Every context is what these events come to, no other one stands, and each event appeared once."""
        events = list(events)
        assert self.interactions() == Counter({(event["source"], event["id"]): 1 for event in events})
        self.assert_contexts(events)

    def assert_contexts(self, events: Iterable[dict[str, Any]]) -> None:
        """Every context is what these events come to, and no other one stands."""
        latest: dict[str, bytes | None] = {}
        for record in read_all(self.kafka, self.catalogue.name(Topic.CONTEXT), self.catalogue.partitions):
            latest[(record.key or b"").decode()] = record.value
        found = {key: msgspec.json.decode(value) for key, value in latest.items() if value is not None}
        ring = Keyring(SECRET.encode())
        differences = []
        expectation = expect(events, load_sources())
        # What is shared shows its counts under its own id, and is no customer.
        shared = {ring.fragment_id(Identifier(one.kind, one.value)) for one in expectation.shared}
        found = {key: shown for key, shown in found.items() if key not in shared}
        for customer in expectation.customers:
            # Which of several the home is may hang on the order of arrival; one of them it is.
            homes = {ring.fragment_id(Identifier(*home.split(":", 1))): one for home, one in customer.homes.items()}
            standing = homes.keys() & found.keys()
            if len(standing) == bool(homes):
                differences += [
                    f"{home}: {line}"
                    for home in standing
                    for line in document_differences(homes[home].document, found.pop(home))
                ]
            else:
                differences.append(f"{len(standing)} contexts of {list(customer.homes)}")
        differences += [f"{key}: nobody's" for key in found]
        assert not differences, "\n".join(differences)

    def interactions(self) -> Counter[tuple[str, str]]:
        """How often each event appeared, for a reader of committed records."""
        names: Counter[tuple[str, str]] = Counter()
        for record in read_all(self.kafka, self.catalogue.name(Topic.INTERACTIONS), self.catalogue.partitions):
            shown = msgspec.json.decode(record.value or b"")
            names[shown["source"], shown["id"]] += 1
        return names


#: Makes a lone worker with topics of its own.
WorkerMaker = Callable[..., LoneWorker]
