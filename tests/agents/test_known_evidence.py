"""Law: what is said, added to what is known, is all that was seen. Method: any events, restarts and lags."""

import tracemalloc
from collections.abc import Sequence
from itertools import combinations
from typing import NamedTuple

from hypothesis import given, settings
from hypothesis import strategies as st

from agents.known_evidence import KnownEvidence, project_evidence
from schemas.messages import Evidence, SealedIdentifier, encode
from schemas.rows import EvidenceRow, encode_row, evidence_key, link_row_key, pair_order_key
from schemas.times import sight_bucket
from state.engine import MemoryRows
from state.native.slice_answer import Evidence as Shown
from streams.bulk import Record

DAY_US = 86_400_000_000
NOW_US = 1_795_341_600_000_000
IDENTIFIERS = tuple(SealedIdentifier(f"{number:032x}", "cookie", b"s%d" % number) for number in range(4))

Sight = tuple[tuple[int, str], int]


class _Event(NamedTuple):
    who: tuple[int, ...]
    source: str
    id: str
    time_us: int
    grade: int


EVENTS = st.builds(
    _Event,
    who=st.lists(st.integers(0, 3), min_size=2, max_size=4, unique=True).map(lambda who: tuple(sorted(who))),
    source=st.sampled_from(["a", "b"]),
    id=st.sampled_from(["1", "2", "3"]),
    time_us=st.integers(0, 200).map(lambda day: NOW_US + day * DAY_US // 2),
    grade=st.integers(1, 3),
)
# What happens between two events: nothing, identity's rows arrive, the process restarts.
STEPS = st.tuples(EVENTS, st.sampled_from(["", "", "followed", "restarted"]))
#: Room for nothing, for an entry or two, and for everything.
ROOMS = st.sampled_from([0, 1_500, 1 << 20])


class _Counting(MemoryRows):
    """Rows that count how often they are asked."""

    def __init__(self, rows: dict[bytes, bytes] | None = None) -> None:
        super().__init__(rows)
        self.asked: list[int] = []

    def get_many(self, keys: list[bytes]) -> list[bytes | None]:
        self.asked.append(len(keys))
        return super().get_many(keys)


def _merge(sights: dict[bytes, Sight], key: bytes, first: tuple[int, str], bucket: int) -> None:
    known = sights.get(key)
    sights[key] = (first, bucket) if known is None else (min(first, known[0]), max(bucket, known[1]))


def _said(known: KnownEvidence, event: _Event) -> Evidence | None:
    return known.news(
        tuple(IDENTIFIERS[number] for number in event.who),
        source=event.source,
        event_id=event.id,
        time_us=event.time_us,
        grade=event.grade,
    )


def _take_in(sights: dict[bytes, Sight], evidence: Evidence, pairs: Sequence[tuple[int, int]]) -> None:
    for one, other in pairs:
        key = evidence_key(
            evidence.identifiers[one].fragment, evidence.identifiers[other].fragment, evidence.grade, evidence.source
        )
        _merge(sights, key, (evidence.time, evidence.id), sight_bucket(evidence.time))


def _rows(sights: dict[bytes, Sight]) -> dict[bytes, bytes]:
    return {
        key: encode_row(EvidenceRow(first[0], first[1], bucket, "cookie")) for key, (first, bucket) in sights.items()
    }


@settings(max_examples=150, deadline=None)
@given(steps=st.lists(STEPS, max_size=25), cached_size_bytes_max=ROOMS)
def test_what_is_said_and_what_is_known_is_all_that_was_seen(
    steps: list[tuple[_Event, str]], cached_size_bytes_max: int
) -> None:
    rows = MemoryRows()
    known = KnownEvidence(rows, cached_size_bytes_max=cached_size_bytes_max)
    seen: dict[bytes, Sight] = {}
    identity: dict[bytes, Sight] = {}
    for event, step in steps:
        identifiers = tuple(IDENTIFIERS[number] for number in event.who)
        whole = Evidence(event.source, event.id, event.time_us, event.grade, identifiers, ())
        _take_in(seen, whole, list(combinations(range(len(identifiers)), 2)))
        evidence = _said(known, event)
        if evidence is not None:
            assert evidence.pairs
            assert (evidence.source, evidence.id, evidence.time, evidence.grade) == (
                event.source, event.id, event.time_us, event.grade,
            )  # fmt: skip
            _take_in(identity, evidence, evidence.pairs)
        if step == "followed":
            rows.rows.update(_rows(identity))
        elif step == "restarted":
            known = KnownEvidence(rows, cached_size_bytes_max=cached_size_bytes_max)
    assert identity == seen


@settings(max_examples=150, deadline=None)
@given(steps=st.lists(STEPS, max_size=25))
def test_with_room_enough_a_pair_is_said_exactly_when_it_tells_something(steps: list[tuple[_Event, str]]) -> None:
    """Against the plain rule, pair by pair, over all that this process said and all that the rows had."""
    rows = MemoryRows()
    known = KnownEvidence(rows)
    told: dict[bytes, Sight] = {}
    for event, step in steps:
        expected = []
        for one, other in combinations(range(len(event.who)), 2):
            ends = IDENTIFIERS[event.who[one]].fragment, IDENTIFIERS[event.who[other]].fragment
            key = evidence_key(*ends, event.grade, event.source)
            first, bucket = told.get(key, ((1 << 62, ""), -1))
            if (event.time_us, event.id) < first or sight_bucket(event.time_us) > bucket:
                expected.append((one, other))
            _merge(told, key, (event.time_us, event.id), sight_bucket(event.time_us))
        evidence = _said(known, event)
        assert (() if evidence is None else evidence.pairs) == tuple(expected)
        if step == "followed":
            rows.rows.update(_rows(told))
        elif step == "restarted":
            rows.rows.update(_rows(told))
            known = KnownEvidence(rows)


@given(event=EVENTS)
def test_the_order_of_identifiers_changes_nothing(event: _Event) -> None:
    rows = MemoryRows()
    backwards = event._replace(who=tuple(reversed(event.who)))
    evidence = _said(KnownEvidence(rows), event)
    assert evidence is not None
    sights: dict[bytes, Sight] = {}
    _take_in(sights, evidence, evidence.pairs)
    rows.rows.update(_rows(sights))
    assert _said(KnownEvidence(rows), backwards) is None


def test_a_usual_event_asks_the_rows_for_nothing_and_another_one_asks_once() -> None:
    rows = _Counting()
    known = KnownEvidence(rows)
    event = _Event((0, 1, 2), "a", "5", NOW_US, 1)
    for later in range(5):
        _said(known, event._replace(time_us=NOW_US + later))
    assert rows.asked == [3]
    # Two of its pairs were said a moment ago; and what comes late is looked at pair by pair.
    _said(known, event._replace(who=(0, 1, 3)))
    _said(known, event._replace(time_us=NOW_US - 1))
    assert rows.asked == [3, 2]


def test_what_is_remembered_stays_within_its_bytes() -> None:
    room = 2 << 20
    tracemalloc.start()
    try:
        known = KnownEvidence(MemoryRows(), cached_size_bytes_max=room)
        for number in range(9_000):
            ends = [SealedIdentifier(f"{number * 3 + end:032x}", "cookie", b"x" * 60) for end in range(3)]
            known.news(ends, source="shop", event_id=f"e-{number}", time_us=NOW_US + number, grade=1)
        taken, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert room / 2 < taken < room * 1.1


@given(event=EVENTS, restarted=st.booleans())
def test_the_same_event_is_news_once(event: _Event, restarted: bool) -> None:
    rows = MemoryRows()
    known = KnownEvidence(rows)
    evidence = _said(known, event)
    assert evidence is not None
    assert _said(known, event) is None
    if restarted:
        # Nothing of it is in the rows: it is said again, which changes nothing.
        assert _said(KnownEvidence(rows), event) == evidence
    sights: dict[bytes, Sight] = {}
    _take_in(sights, evidence, evidence.pairs)
    rows.rows.update(_rows(sights))
    assert _said(KnownEvidence(rows), event) is None


def test_an_earlier_sight_and_a_later_bucket_are_news() -> None:
    known = KnownEvidence(MemoryRows())
    first = _Event((0, 1), "a", "5", NOW_US, 1)
    assert _said(known, first) is not None
    assert _said(known, first._replace(time_us=NOW_US + 1, id="6")) is None
    assert _said(known, first._replace(time_us=NOW_US - 1)) is not None
    assert _said(known, first._replace(id="4", time_us=NOW_US - 1)) is not None
    assert _said(known, first._replace(time_us=NOW_US + 31 * DAY_US)) is not None


def test_another_source_or_grade_or_pair_is_news() -> None:
    known = KnownEvidence(MemoryRows())
    first = _Event((0, 1), "a", "5", NOW_US, 1)
    assert _said(known, first) is not None
    for other in (first._replace(source="b"), first._replace(grade=3), first._replace(who=(0, 2))):
        assert _said(known, other) is not None


def test_only_new_pairs_of_an_event_are_said() -> None:
    known = KnownEvidence(MemoryRows())
    assert _said(known, _Event((0, 1), "a", "5", NOW_US, 1)) is not None
    evidence = _said(known, _Event((0, 1, 2), "a", "6", NOW_US, 1))
    assert evidence is not None
    assert evidence.pairs == ((0, 2), (1, 2))


def test_the_projection_keeps_evidence_alone() -> None:
    evidence, link = evidence_key("0" * 32, "1" * 32, 2, "crm"), link_row_key("0" * 32)
    # Of a pair's two rows one is enough.
    other_end, order = evidence_key("1" * 32, "0" * 32, 2, "crm"), pair_order_key("0" * 32, "1" * 32, 1, "crm")
    keys = (evidence, link, None, other_end, order)
    records = [Record("gt.identity.links", 0, n, 0, key, b"v") for n, key in enumerate(keys)]
    assert project_evidence(records, MemoryRows()) == {evidence: b"v"}
    assert project_evidence([records[0]._replace(value=None)], MemoryRows()) == {evidence: None}


def _shown(number: int, event: _Event) -> Shown:
    """As the compiled library shows it."""
    identifiers = tuple(IDENTIFIERS[each] for each in event.who)
    ends = sorted(identifier.fragment for identifier in identifiers)
    pairs = ((0, 1),) if len(identifiers) == 2 else ()
    return Shown(
        number,
        event.time_us,
        f"{''.join(each.fragment for each in identifiers)}{event.grade}{event.source}".encode(),
        evidence_key(ends[0], ends[1], event.grade, event.source) if pairs else b"",
        event.id.encode(),
        encode(Evidence(event.source, event.id, event.time_us, event.grade, identifiers, pairs)),
    )


@settings(max_examples=150, deadline=None)
@given(runs=st.lists(st.tuples(st.lists(STEPS, max_size=12), st.booleans()), max_size=4), cached_size_bytes_max=ROOMS)
def test_of_several_at_once_the_same_is_said(
    runs: list[tuple[list[tuple[_Event, str]], bool]], cached_size_bytes_max: int
) -> None:
    rows = MemoryRows()
    one, other = (KnownEvidence(rows, cached_size_bytes_max=cached_size_bytes_max) for _ in range(2))
    identity: dict[bytes, Sight] = {}
    for steps, follows in runs:
        # An event that names one identifier shows nothing.
        events = [event for event, _ in steps if len(event.who) > 1]
        said = [evidence for event in events if (evidence := _said(one, event)) is not None]
        assert other.say([_shown(number, event) for number, event in enumerate(events)]) == list(map(encode, said))
        for evidence in said:
            _take_in(identity, evidence, evidence.pairs)
        if follows:
            rows.rows.update(_rows(identity))
