"""Goal: the compiled library takes in what Python takes in, to the byte. Method: both get the same records.

Outputs of each topic in their order, counts and counts of enrichment are compared. That the library refuses everything
would pass as well, so tests say of what is plain that it was taken.
"""

import json
from collections import defaultdict
from collections.abc import Iterable, Sequence
from decimal import Decimal
from itertools import groupby
from pathlib import Path
from random import Random
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agents.intake import Intake
from agents.known_evidence import CACHED_SIZE_BYTES_MAX, KnownEvidence
from bench.generator import SOURCES_FILE, Plan, encode, generate
from bench.job.events import Plan as JobPlan
from bench.job.events import arrivals
from bench.job.persons import SOURCES_FILE as JOB_SOURCES_FILE
from bench.job.persons import happening, raw
from schemas.cleaning import Cleaner
from schemas.enrichment.enrichment import Enrichment
from schemas.enrichment.names import ENRICHERS
from schemas.identity_policy import DEFAULT_POLICY
from schemas.keys import Keyring
from schemas.mapping import load_mappings
from schemas.sources import SourceRegistry, load_sources
from schemas.topics import DEFAULT_CHANNELS, Catalogue, Topic
from state.engine import MemoryRows, Output
from state.native.loading import IntakeLibrary, Library
from state.native.slice_answer import read_asked, read_slice
from streams.batch import Batch
from tests.agents.odd_records import CHANNELS, MAPPING, SOURCES, OddRecords, Raw
from tests.state.builders import LIBRARY

pytestmark = pytest.mark.skipif(LIBRARY is None, reason="the library is not built: no rustc, or not yet made")
RING = Keyring(b"a secret that tests share")
_ENRICHERS = ((), ENRICHERS, ("time",), ("device", "language"), ("phone", "email", "name"))

_EVENT: dict[str, Any] = {
    "specversion": "1.0", "id": "e", "source": "s", "type": "t", "time": "2026-11-21T10:00:00Z",
    "data": {"identifiers": {"email": "a@x.nl"}},
}  # fmt: skip

Given = Sequence[Raw]


class _Watched(Library):
    """A library, and how many records its intakes took."""

    def __init__(self, library: Library) -> None:
        self._library = library
        self.taken = 0

    def for_intake(self, settings: bytes, kept_size_bytes_max: int) -> IntakeLibrary:
        """As the library does, counted."""
        intake = self._library.for_intake(settings, kept_size_bytes_max)

        def take(request: bytes, told: bytes) -> bytes | None:
            answer = intake.take(request, told)
            self.taken += 0 if answer is None or read_asked(answer) else len(read_slice(answer).numbers)
            return answer

        return IntakeLibrary(take)


class _Damaging(Library):
    """A library that is given bytes of which some are others than they were, or are missing."""

    def __init__(self, library: Library, seed: int) -> None:
        self._library = library
        self._chance = Random(seed)

    def for_intake(self, settings: bytes, kept_size_bytes_max: int) -> IntakeLibrary:
        """As the library does of damaged bytes; nothing that anybody could go by once it is told anything."""
        intake = self._library.for_intake(settings, kept_size_bytes_max)

        def take(request: bytes, told: bytes) -> bytes | None:
            intake.take(self._damaged(request), told)
            if not told:
                return intake.take(request)
            intake.take(request, self._damaged(told))
            return None

        return IntakeLibrary(take)

    def _damaged(self, content: bytes) -> bytes:
        chance, damaged = self._chance, bytearray(content)
        for _ in range(chance.randrange(1, 4)):
            place = chance.randrange(len(damaged))
            if chance.random() < 0.2:
                del damaged[place:]
                return bytes(damaged)
            damaged[place] = chance.randrange(256)
        return bytes(damaged)


class _Box:
    """An outbox that keeps all it is given, by topic."""

    def __init__(self) -> None:
        self.said: defaultdict[str, list[Any]] = defaultdict(list)

    def put(self, output: Output) -> None:
        self.said[output.topic].append(output)

    def put_each(self, outputs: Iterable[Output]) -> None:
        for output in outputs:
            self.put(output)

    def put_plain(self, topic: str, records: Iterable[tuple[bytes | None, bytes | None]]) -> None:
        self.put_each(Output(topic, key, value) for key, value in records)


def _parts(records: Given) -> list[Batch]:
    """The records as a stage hands them over: those of one partition that follow each other together."""
    groups = groupby(records, key=lambda record: (record.topic, record.partition))
    return [Batch(topic, partition, 1, list(group)) for (topic, partition), group in groups]


def _intake(
    registry: SourceRegistry,
    channels: Sequence[str],
    enrichment: Enrichment | None,
    known: KnownEvidence,
    library: Library | None,
) -> Intake:
    return Intake(
        catalogue=Catalogue(channels=tuple(channels)),
        cleaner=Cleaner(policy=DEFAULT_POLICY, registry=registry, keyring=RING, channels=channels),
        registry=registry,
        mappings=load_mappings(registry),
        known=known,
        enrichment=enrichment,
        library=library,
    )


class _Twins:
    """The general way and the library's, with the same to go by."""

    def __init__(
        self,
        registry: SourceRegistry,
        channels: Sequence[str] = CHANNELS,
        enrichers: Sequence[str] = ENRICHERS,
        known_size_bytes_max: int = CACHED_SIZE_BYTES_MAX,
    ) -> None:
        assert LIBRARY is not None
        self.library = _Watched(LIBRARY)
        self.ways: list[tuple[Intake, Enrichment | None]] = []
        for library in (None, self.library):
            enrichment = Enrichment(enrichers, phone_region=DEFAULT_POLICY.phone_region) if enrichers else None
            known = KnownEvidence(MemoryRows(), cached_size_bytes_max=known_size_bytes_max)
            self.ways.append((_intake(registry, channels, enrichment, known, library), enrichment))

    def handle(self, records: Given) -> dict[str, list[Output]]:
        """What both say of the records, by topic."""
        boxes = _Box(), _Box()
        for (intake, _), box in zip(self.ways, boxes, strict=True):
            intake.handle_many(_parts(records), box)  # type: ignore[arg-type]
        one, other = ({topic: outputs for topic, outputs in box.said.items() if outputs} for box in boxes)
        assert other == one
        (slow, slow_enrichment), (fast, fast_enrichment) = self.ways
        assert fast.counts == slow.counts
        if slow_enrichment is not None and fast_enrichment is not None:
            assert +fast_enrichment.counts == +slow_enrichment.counts
        return one


@pytest.fixture(name="registry", scope="module")
def _registry(tmp_path_factory: pytest.TempPathFactory) -> SourceRegistry:
    folder: Path = tmp_path_factory.mktemp("sources")
    (folder / "legacy.yaml").write_text(MAPPING)
    (folder / "sources.yaml").write_text(SOURCES)
    return load_sources(folder / "sources.yaml")


@pytest.fixture(name="twins", scope="module")
def _twins(registry: SourceRegistry) -> dict[Sequence[str], _Twins]:
    """Twins by the enrichers that are on; they go on from one example to the next, as intake does."""
    return {enrichers: _Twins(registry, enrichers=enrichers) for enrichers in _ENRICHERS}


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 2**32), st.sampled_from(_ENRICHERS), st.sampled_from(CHANNELS))
def test_odd_records_come_to_the_same(
    twins: dict[Sequence[str], _Twins], seed: int, enrichers: Sequence[str], channel: str
) -> None:
    twins[enrichers].handle(OddRecords(seed).draw(60, f"gt.raw.{channel}"))


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 2**32), st.integers(0, 30_000))
def test_evidence_is_said_again_alike_where_little_of_it_is_remembered(
    registry: SourceRegistry, seed: int, known_size_bytes_max: int
) -> None:
    twins = _Twins(registry, enrichers=(), known_size_bytes_max=known_size_bytes_max)
    odd = OddRecords(seed)
    for _ in range(3):
        twins.handle(odd.draw(70))


def test_the_records_that_tests_draw_are_taken_where_they_are_plain(registry: SourceRegistry) -> None:
    twins = _Twins(registry)
    said = twins.handle(OddRecords(20261122).draw(2_000))
    # Others are routed by the general way: odd times, numbers and the like.
    assert len(said[Topic.DEAD]) > 300
    assert len(said[Topic.ROUTED]) > 500
    assert twins.library.taken > 350


@settings(max_examples=100, deadline=None)
@given(st.integers(0, 2**32))
def test_damaged_bytes_end_no_process_and_what_is_refused_goes_the_general_way(seed: int) -> None:
    assert LIBRARY is not None
    library = _Damaging(LIBRARY, seed)
    intake = _intake(SourceRegistry(), CHANNELS, None, KnownEvidence(MemoryRows()), library)
    box = _Box()
    intake.handle_many(_parts(OddRecords(seed).draw(20)), box)  # type: ignore[arg-type]
    assert len(box.said[Topic.ROUTED]) + len(box.said[Topic.DEAD]) == 20


@settings(max_examples=300, deadline=None)
@given(st.data())
def test_any_json_in_an_event_comes_to_the_same(twins: dict[Sequence[str], _Twins], data: st.DataObject) -> None:
    scalars = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text()
    values = st.recursive(scalars, lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner), max_leaves=12)
    event = _EVENT | {"data": _EVENT["data"] | {"text": data.draw(st.text()), "any": data.draw(values)}}
    event["data"][data.draw(st.sampled_from(("traits", "groups", "permissions", "refs", "context")))] = data.draw(
        values
    )
    ascii_only = data.draw(st.booleans())
    text = json.dumps(event, ensure_ascii=ascii_only)
    twins[ENRICHERS].handle([Raw(text.encode("utf-8", "surrogatepass"))])


@settings(max_examples=200, deadline=None)
@given(
    st.decimals(allow_nan=False, allow_infinity=False, places=6, min_value=-(10**9), max_value=10**9), st.integers(0, 6)
)
def test_numbers_are_written_as_they_were(twins: dict[Sequence[str], _Twins], number: Decimal, digits: int) -> None:
    event = json.dumps(_EVENT | {"data": _EVENT["data"] | {"number": "here"}})
    twins[()].handle([Raw(event.replace('"here"', f"{number:.{digits}f}").encode())])


@pytest.mark.parametrize("enrichers", [(), ENRICHERS])
def test_the_populations_that_benchmarks_play_come_to_the_same_and_nearly_all_of_them_are_taken(
    enrichers: Sequence[str],
) -> None:
    people = generate(Plan(customers=40, events=1_500, events_per_second=1_500 / (30 * 86_400)))
    _play(
        _Twins(load_sources(SOURCES_FILE), DEFAULT_CHANNELS, enrichers),
        [(one["channel"], encode(one)) for one in people],
    )
    plan = JobPlan(events=1_500, customers=60)
    job = [happening(plan, number) for number in arrivals(plan)]
    _play(
        _Twins(load_sources(JOB_SOURCES_FILE), DEFAULT_CHANNELS, enrichers),
        [(one.event.channel, raw(one)) for one in job],
    )


def test_records_of_many_partitions_come_to_the_same_in_one_slice(registry: SourceRegistry) -> None:
    twins = _Twins(registry)
    drawn = [OddRecords(seed).draw(8, f"gt.raw.{channel}") for seed, channel in enumerate(CHANNELS * 3)]
    records = [record._replace(partition=number) for number, part in enumerate(drawn) for record in part]
    twins.handle(records)
    assert twins.library.taken > len(records) / 8


def test_little_room_for_what_was_told_changes_nothing_but_who_does_the_work(
    registry: SourceRegistry, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("agents.compiled_intake.KEPT_SIZE_BYTES_MAX", 4_000)
    twins = _Twins(registry)
    odd = OddRecords(20261123)
    for size in (1, 3, 40, 200):
        twins.handle(odd.draw(size))
    assert 0 < twins.library.taken < 100


def _play(twins: _Twins, events: Sequence[tuple[str, bytes]]) -> None:
    by_channel: defaultdict[str, list[Raw]] = defaultdict(list)
    for channel, value in events:
        records = by_channel[channel]
        records.append(Raw(value, topic=f"gt.raw.{channel}", offset=len(records)))
    routed = 0
    for records in by_channel.values():
        for start in range(0, len(records), 100):
            routed += len(twins.handle(records[start : start + 100]).get(Topic.ROUTED, ()))
    assert twins.library.taken > 0.97 * routed > 0.9 * len(events)


def test_what_is_large_what_has_headers_and_what_has_no_value_goes_the_general_way(registry: SourceRegistry) -> None:
    twins = _Twins(registry)
    event = json.dumps(_EVENT).encode()
    large = json.dumps(_EVENT | {"data": _EVENT["data"] | {"text": "x" * 70_000}}).encode()
    of_collect = (("content-type", b"application/cloudevents+json"),)
    records = [Raw(event), Raw(large), Raw(None), Raw(event, (("ce_id", b"x"),)), Raw(event, of_collect)]
    said = twins.handle([record._replace(offset=offset) for offset, record in enumerate(records)])
    assert len(said[Topic.ROUTED]) == 3
    assert len(said[Topic.DEAD]) == 2
    assert twins.library.taken == 2


@pytest.mark.parametrize(
    ("member", "twice"),
    [
        ('"id": "e"', '"id": "d", "id": "e"'),
        ('"id": "e"', '"id": "e", "subject": "a", "subject": "b"'),
        ('"data": {', '"data": {"text": "a", "text": "b", '),
        ('"data": {', '"data": {"inner": {"a": 1, "b": 2, "a": 3}, '),
        ('"data": {', '"data": {"inner": [{"a": 1, "\\u0061": 3}], '),
        ('"data": {', '"data": {"traits": {"city": "A", "city": "B"}, '),
        ('"data": {', '"data": {"refs": [{"kind": "a", "kind": "b", "id": 1}], '),
        ('"email"', '"email": "b@x.nl", "email"'),
    ],
)
def test_a_key_that_comes_twice_goes_the_general_way(registry: SourceRegistry, member: str, twice: str) -> None:
    twins = _Twins(registry)
    text = json.dumps(_EVENT)
    assert text.count(member) == 1
    twins.handle([Raw(text.replace(member, twice).encode())])
    assert twins.library.taken == 0


def test_a_channel_that_is_none_of_ours_goes_the_general_way(registry: SourceRegistry) -> None:
    twins = _Twins(registry)
    said = twins.handle([Raw(json.dumps(_EVENT).encode(), topic="gt.raw.other")])
    assert list(said) == [Topic.DEAD]
    assert twins.library.taken == 0
