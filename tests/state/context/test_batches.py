"""However records are handed over, and however little stays in memory: the same outputs, rows and counts."""

from collections import Counter
from collections.abc import Iterator
from typing import Any

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from schemas.identity_policy import DEFAULT_POLICY
from schemas.messages import Add, Drop, Own, RoutedEvent, Snapshot, encode
from schemas.rows import record_key
from schemas.topics import Topic
from state.context.engine import ContextEngine
from state.context.rows import RECORDS
from state.dedupe import Dedupe
from state.engine import MemoryRows, Output
from state.fold import fold, is_first_of_day
from state.fragment import Fragment, Limits, encode_fragment
from state.join import JoinRules
from tests.state.builders import ANN, ANNS_ACCOUNT, ANNS_COOKIE, DAY, MORNING, RING, fragment_of, routed, sealed
from tests.state.strategies import histories

PEOPLE = (ANN, ANNS_COOKIE, ANNS_ACCOUNT)
_WHO = st.sampled_from(PEOPLE)
_EVENTS = st.builds(
    lambda who, number, day, assigned, content, grade, city: routed(
        who,
        id=f"e-{number}",
        time=MORNING + day * DAY + number,
        assigned=assigned,
        content=content,
        grade=grade,
        traits={"city": city} if city else {},
    ),
    _WHO,
    st.integers(0, 12),
    st.integers(0, 4),
    st.booleans(),
    st.sampled_from([b"12345678", b"12345678", b"12", b"otherwise"]),
    st.integers(1, 3),
    st.sampled_from([b"", b'"Utrecht"', b'"Delft"', b"null"]),
)
_OWNS = st.builds(
    lambda who, owner, state, epoch: Own(
        fragment_of(who), who.kind, sealed(who), fragment_of(owner), state, 2, epoch, MORNING, MORNING
    ),
    _WHO, _WHO, st.sampled_from(["home", "joined", "attached"]), st.integers(1, 5),
)  # fmt: skip
_ADDS = st.builds(
    lambda owner, who, epoch: Add(fragment_of(owner), fragment_of(who), who.kind, sealed(who), "attached", 1, epoch),
    _WHO, _WHO, st.integers(1, 5),
)  # fmt: skip
_DROPS = st.builds(
    lambda owner, who, epoch: Drop(fragment_of(owner), fragment_of(who), epoch), _WHO, _WHO, st.integers(1, 5)
)


def _snapshot(owner: Any, who: Any, epoch: int, number: int) -> Snapshot:
    content = Fragment()
    fold(content, routed(who, id=f"s-{number}", time=MORNING + number, traits={"name": b'"Ann"'}))
    return Snapshot(fragment_of(owner), fragment_of(who), epoch, 0, number, encode_fragment(content), MORNING, MORNING)


_SNAPSHOTS = st.builds(_snapshot, _WHO, _WHO, st.integers(1, 5), st.integers(0, 5))
_UNREADABLE = st.sampled_from(
    [b"", b"\xc1", encode(routed())[:-9], encode(routed(grade=7)), encode(routed(sealed=b"x"))]
)
_VALUES = st.one_of(
    *(each.map(encode) for each in (_EVENTS, _EVENTS, _EVENTS, _OWNS, _ADDS, _DROPS, _SNAPSHOTS)), _UNREADABLE
)
#: A log in checkpoints of slices of records.
_LOGS = st.lists(st.lists(st.lists(_VALUES, max_size=6), max_size=4), max_size=5)


def _run(
    log: list[list[list[bytes]]], *, how: str, restarts: bool = False, **arguments: Any
) -> tuple[list[list[Output]], dict[bytes, bytes], Counter[str]]:
    rows, offset, said = MemoryRows(), 0, []
    counts: Counter[str] = Counter()
    rules = JoinRules(DEFAULT_POLICY, limits=Limits(days=3, recent=3))

    def made() -> ContextEngine:
        dedupe = Dedupe(rows, row_size_bytes_max=40, cached_size_bytes_max=arguments.get("dedupe_bytes", 1 << 20))
        cached = arguments.get("cached_rows_max", 1_000)
        return ContextEngine(rows, RING.unseal, rules, horizon_days=3, dedupe=dedupe, cached_rows_max=cached)

    engine = made()
    for checkpoint in log:
        for number, values in enumerate(checkpoint):
            offsets = range(offset, offset + len(values))
            offset += len(values)
            if how == "batches" or (how == "mixed" and number % 2):
                engine.apply_many(values, offsets)
            else:
                for value, each in zip(values, offsets, strict=True):
                    engine.apply(value, each)
        drained = engine.drain()
        said.append(list(drained.outputs))
        rows.write(drained.rows)
        engine.settled()
        counts.update(engine.counts)
        engine.counts.clear()
        if restarts:
            engine = made()
    return said, rows.rows, counts


@given(_LOGS)
def test_batches_single_records_and_both_in_turn_give_the_same(log: list[list[list[bytes]]]) -> None:
    assert _run(log, how="batches") == _run(log, how="single") == _run(log, how="mixed")


@given(_LOGS)
def test_what_stays_in_memory_decides_nothing(log: list[list[list[bytes]]]) -> None:
    said, rows, counts = _run(log, how="batches")
    for arguments in ({"cached_rows_max": 0, "dedupe_bytes": 0}, {"restarts": True}):
        others, other_rows, other_counts = _run(log, how="batches", **arguments)
        assert others == said
        assert _without_offsets(other_rows) == _without_offsets(rows)
        # A record that changed nothing leaves no position behind: it may be a duplicate again, and not skipped.
        assert other_counts == counts


def _without_offsets(rows: dict[bytes, bytes]) -> dict[bytes, Any]:
    return {
        key: msgspec.structs.replace(RECORDS.decode(value), offset=0) if key.endswith(b"/record") else value
        for key, value in rows.items()
    }


@given(st.lists(_EVENTS, max_size=30))
def test_interactions_and_letters_come_in_the_order_of_their_records(events: list[RoutedEvent]) -> None:
    ((outputs,), _, _) = _run([[[encode(event) for event in events]]], how="batches")
    named = [
        (msgspec.json.decode(each.value or b"")["id"], each.topic)
        for each in outputs
        if each.topic == Topic.INTERACTIONS
    ]
    ids = [event.id for event in events]
    places = iter(ids)
    assert all(any(name == other for other in places) for name, _ in named)
    offsets = [int(dict(each.headers)["gt-offset"]) for each in outputs if each.topic == Topic.DEAD]
    assert offsets == sorted(offsets)


@given(histories(), st.integers(1, 4))
def test_a_day_that_is_said_to_be_new_never_had_an_event(events: list[RoutedEvent], days: int) -> None:
    fragment, seen = Fragment(), set()
    for number, event in enumerate(_with_other_limits(events)):
        day = event.time // DAY
        if is_first_of_day(fragment, day):
            assert day not in seen
        seen.add(day)
        # A version with other limits may have folded some.
        fold(fragment, event, Limits(days=days + number % 2))


def _with_other_limits(events: list[RoutedEvent]) -> Iterator[RoutedEvent]:
    for number, event in enumerate(events):
        yield msgspec.structs.replace(event, time=MORNING + (number * 7 % 11) * DAY, id=f"d-{number}")


def test_rows_of_a_drain_are_read_back_as_they_were_written() -> None:
    _, rows, _ = _run([[[encode(routed())]], [[encode(routed(id="e-2"))]]], how="batches")
    total = RECORDS.decode(rows[record_key(fragment_of(ANN))]).content.total
    assert total is not None
    assert total.count == 2
