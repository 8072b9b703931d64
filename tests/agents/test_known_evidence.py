"""Law: what is said, added to what is known, is all that was seen. Method: any events, restarts and lags."""

from collections.abc import Sequence
from itertools import combinations
from typing import NamedTuple

from hypothesis import given, settings
from hypothesis import strategies as st

from agents.known_evidence import KnownEvidence, project_evidence
from schemas.messages import Evidence, SealedIdentifier
from schemas.rows import EvidenceRow, encode_row, evidence_key, link_row_key
from schemas.times import sight_bucket
from state.engine import MemoryRows
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
# What happens between two events: nothing, an acknowledgement, identity's rows arrive, the process restarts.
STEPS = st.tuples(EVENTS, st.sampled_from(["", "", "acknowledged", "followed", "restarted"]))


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
@given(steps=st.lists(STEPS, max_size=25), cached_pairs_max=st.sampled_from([1, 2, 1000]))
def test_what_is_said_and_what_is_known_is_all_that_was_seen(
    steps: list[tuple[_Event, str]], cached_pairs_max: int
) -> None:
    rows = MemoryRows()
    known = KnownEvidence(rows, cached_pairs_max=cached_pairs_max)
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
        if step == "acknowledged":
            known.acknowledged()
        elif step == "followed":
            rows.rows.update(_rows(identity))
        elif step == "restarted":
            known = KnownEvidence(rows, cached_pairs_max=cached_pairs_max)
    assert identity == seen


@given(event=EVENTS, restarted=st.booleans())
def test_the_same_event_is_news_once(event: _Event, restarted: bool) -> None:
    rows = MemoryRows()
    known = KnownEvidence(rows)
    evidence = _said(known, event)
    assert evidence is not None
    assert _said(known, event) is None
    known.acknowledged()
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
    records = [Record("gt.identity.links", 0, n, 0, key, b"v") for n, key in enumerate((evidence, link, None))]
    assert project_evidence(records, MemoryRows()) == {evidence: b"v"}
    assert project_evidence([records[0]._replace(value=None)], MemoryRows()) == {evidence: None}
