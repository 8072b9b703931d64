"""Judges what is left after the deaths: rows and outputs byte by byte against the logs, contexts against the oracle.

The engines are functions of their input logs. So one engine of each partition that is given its whole log, without
Kafka and without any death, says what rows, decisions and interactions there have to be.
"""

from collections import Counter
from pathlib import Path

import msgspec

from bench.compare import document_differences
from bench.generator import load_sources
from bench.oracle import expect
from schemas.identifiers import Identifier
from schemas.identity_policy import DEFAULT_POLICY
from schemas.keys import Keyring
from schemas.rows import encode_row, is_record_key
from schemas.topics import POSITION_KEY, Catalogue, Topic
from state.context.engine import ContextEngine
from state.context.rows import RECORDS
from state.engine import Engine, MemoryRows, Output
from state.identity.engine import IdentityEngine
from state.join import JoinRules
from state.store import Store
from state.store_cache import shared_cache
from streams.bulk import BulkReader, Record, read_all
from streams.dead import read_dead
from streams.kafka import KafkaOptions
from streams.topics import group_offsets
from tests.crashes.stream import Stream
from tests.running_system import SECRET
from tests.waiting import wait_until

#: Committed in one piece: the engines must not care how their logs are cut.
PIECE_RECORDS = 97


class Judge:
    """All that a reader of committed records sees, held against what has to be."""

    def __init__(self, kafka: KafkaOptions, catalogue: Catalogue, application: str) -> None:
        self._kafka = kafka
        self._catalogue = catalogue
        self._application = application
        self._keyring = Keyring(SECRET.encode())

    def wait_until_done(self) -> None:
        """Return once workers have acknowledged every record."""
        wait_until(self._is_done, "everything acknowledged")

    def _is_done(self) -> bool:
        places = [(topic, n) for topic, count in self._catalogue.read_by_workers().items() for n in range(count)]
        offsets = group_offsets(self._kafka, self._application, places)
        reader = BulkReader(self._kafka, {place: offsets[place] or 0 for place in places})
        left = set(places)
        try:
            while left:
                chunk = reader.read(1.0)
                if chunk.records:
                    return False
                left -= chunk.ends.keys()
        finally:
            reader.close()
        return True

    def require_exact(self, stream: Stream) -> None:
        """Fail where anything is lost, doubled or wrong."""
        self._require_identity()
        self._require_context()
        self._require_outputs(stream)
        self._require_letters(stream)

    def require_stores(self, worker_dir: Path) -> None:
        """Fail where a store on disk is not its changelog."""
        for stage, topic in (("identity", Topic.LINKS), ("context", Topic.STATE)):
            for partition in range(self._catalogue.partitions_of(topic)):
                path = worker_dir / f"{stage}-{partition}"
                store = Store.open(path, secret_fingerprint=self._keyring.fingerprint, cache=shared_cache(2**20))
                held = dict(store.rows())
                store.close()
                _require_equal(held, self._rows(topic, partition), str(path))

    def _require_identity(self) -> None:
        """Rows and decisions: the same evidence in the same order gives the same, each decision once."""
        engine = IdentityEngine(
            MemoryRows(), self._keyring.unseal, DEFAULT_POLICY, origin_topic=self._catalogue.name(Topic.EVIDENCE)
        )
        rows, outputs = self._replay(engine, Topic.EVIDENCE, 0)
        held = self._rows(Topic.LINKS, 0)
        held.pop(POSITION_KEY, None)
        _require_equal(held, rows, "identity")
        told = Counter(record.value for record in self._all(Topic.IDENTITY_CHANGES))
        assert told == Counter(output.value for output in outputs if output.topic == Topic.IDENTITY_CHANGES)

    def _require_context(self) -> None:
        """Rows and interactions; how often a context was published depends on where checkpoints lay."""
        interactions: Counter[bytes | None] = Counter()
        for partition in range(self._catalogue.partitions):
            held_rows = MemoryRows()
            engine = ContextEngine(
                held_rows,
                self._keyring.unseal,
                JoinRules(DEFAULT_POLICY),
                origin_topic=self._catalogue.name(Topic.ROUTED),
                partition=partition,
            )
            rows, outputs = self._replay(engine, Topic.ROUTED, partition, held_rows)
            held = self._rows(Topic.STATE, partition)
            held.pop(POSITION_KEY, None)
            _require_equal(_said(held), _said(rows), f"context {partition}")
            interactions.update(output.value for output in outputs if output.topic == Topic.INTERACTIONS)
        assert Counter(record.value for record in self._all(Topic.INTERACTIONS)) == interactions

    def _require_outputs(self, stream: Stream) -> None:
        """Each event once among the interactions, versions that only grow, and contexts as the oracle has them."""
        seen: Counter[tuple[str, str]] = Counter()
        for record in self._all(Topic.INTERACTIONS):
            fields = msgspec.json.decode(record.value or b"")
            seen[fields["source"], fields["id"]] += 1
        assert seen == Counter({(event["source"], event["id"]): 1 for event in stream.sent})
        versions: dict[bytes | None, int] = {}
        documents: dict[str, dict[str, object]] = {}
        for record in self._all(Topic.CONTEXT):
            assert record.key is not None
            documents.pop(record.key.decode(), None)
            if record.value is not None:
                document = msgspec.json.decode(record.value)
                assert document["version"] > versions.get(record.key, 0)
                versions[record.key] = document["version"]
                documents[record.key.decode()] = document
        for customer in expect(stream.sent, load_sources(), stream.orders).customers:
            found = [home for home in customer.homes if self._fragment(home) in documents]
            assert len(found) == bool(customer.homes), f"{customer.members}: documents of {found}"
            for home in found:
                document = documents.pop(self._fragment(home))
                assert not document["settling"]
                assert document_differences(customer.homes[home].document, document) == [], home
        # What is left belongs to nobody: shared identifiers show counts alone.
        assert all(document["identity"]["level"] == "shared" for document in documents.values())  # type: ignore[index]

    def _require_letters(self, stream: Stream) -> None:
        """Each bad record is there, and shown once."""
        shown = Counter(letter.code for letter in read_dead(self._kafka, self._catalogue))
        assert shown == Counter(stream.bad)

    def _replay(
        self, engine: Engine, topic: Topic, partition: int, rows: MemoryRows | None = None
    ) -> tuple[dict[bytes, bytes], list[Output]]:
        written = rows or engine._links._rows  # type: ignore[attr-defined]
        outputs: list[Output] = []
        for number, record in enumerate(self._all(topic, partition)):
            engine.apply(record.value or b"", record.offset)
            if number % PIECE_RECORDS == 0:
                outputs += _commit(engine, written)
        outputs += _commit(engine, written)
        return dict(written.rows), outputs

    def _rows(self, topic: Topic, partition: int) -> dict[bytes, bytes]:
        rows: dict[bytes, bytes] = {}
        for record in self._all(topic, partition):
            assert record.key is not None
            rows.pop(record.key, None)
            if record.value is not None:
                rows[record.key] = record.value
        return rows

    def _all(self, topic: Topic, partition: int | None = None) -> list[Record]:
        records = read_all(self._kafka, self._catalogue.name(topic), self._catalogue.partitions_of(topic))
        return [record for record in records if partition in (None, record.partition)]

    def _fragment(self, name: str) -> str:
        kind, _, value = name.partition(":")
        return self._keyring.fragment_id(Identifier(kind, value))


def _commit(engine: Engine, rows: MemoryRows) -> list[Output]:
    drained = engine.drain()
    rows.write(drained.rows)
    engine.settled()
    return list(drained.outputs)


def _said(rows: dict[bytes, bytes]) -> dict[bytes, bytes]:
    """The rows but for what depends on where checkpoints lay.

    That is how often a context was published, and whether a copy that came after the last event was still noted as the
    last position that a fragment was given.
    """
    return {
        key: encode_row(msgspec.structs.replace(RECORDS.decode(value), version=0, offset=0))
        if is_record_key(key)
        else value
        for key, value in rows.items()
    }


def _require_equal(held: dict[bytes, bytes], expected: dict[bytes, bytes], what: str) -> None:
    differing = sorted(key for key in held.keys() | expected.keys() if held.get(key) != expected.get(key))
    shown = "\n".join(
        f"{key!r}\n  held     {held.get(key)!r}\n  expected {expected.get(key)!r}" for key in differing[:3]
    )
    assert not differing, f"{what}: {len(differing)} of {len(expected)} rows differ\n{shown}"
