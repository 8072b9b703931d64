"""Records of the followed topics become the same rows however they are batched."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from connectors.serve import interaction_rows, projection
from connectors.serve.interaction_rows import Retention
from connectors.serve.layout import (
    CONTEXTS_KEY,
    LEVEL_COUNT_PREFIX,
    NEWEST_KEY,
    NEWEST_MAX,
    ROLE_COUNT_PREFIX,
    Moment,
    Tally,
    interactions_prefix,
    position_key,
    unpack_count,
    unpack_newest,
)
from connectors.serve.projection import Projection, is_projected_state
from connectors.serve.service import applied_positions
from schemas.roles import ATTACHED, HOME, SHARED
from schemas.rows import PositionRow, day_prefix, encode_row, evidence_key, evidence_prefix, member_key, record_key
from schemas.times import SECONDS_PER_DAY
from schemas.topics import POSITION_KEY, Topic
from streams.bulk import Record
from tests.connectors.serve.support import DAY_US, NOW_US, Copy

VALUES = ("c-1", "c-2", "c-3")


class _Recorder(Copy):
    """Keeps the records that it is given."""

    def __init__(self) -> None:
        self.records: list[Record] = []
        super().__init__()

    def put(self, *records: Record) -> None:
        """Bring records in, and keep them."""
        self.records.extend(records)
        super().put(*records)


@given(
    steps=st.lists(
        st.tuples(st.sampled_from(["link", "interaction", "context"]), *[st.integers(0, 2)] * 2), max_size=25
    ),
    cuts=st.sets(st.integers(0, 25)),
)
@settings(max_examples=100, deadline=None)
def test_the_same_records_in_other_batches_give_the_same_rows(
    steps: list[tuple[str, int, int]], cuts: set[int]
) -> None:
    one_by_one = _Recorder()
    for step, first, second in steps:
        value, owner = VALUES[first], one_by_one.fragment("cookie", VALUES[second])
        if step == "link":
            one_by_one.link("cookie", value, owner, ATTACHED)
        elif step == "interaction":
            one_by_one.put(one_by_one.interaction(one_by_one.fragment("cookie", value), second))
        else:
            one_by_one.context(owner)
    batched = Copy()
    start = 0
    for end in sorted({*(cut for cut in cuts if cut < len(one_by_one.records)), len(one_by_one.records)}):
        batched.put(*one_by_one.records[start:end])
        start = end
    assert batched.rows.rows == one_by_one.rows.rows
    for fragment in (batched.fragment("cookie", value) for value in VALUES):
        owner = batched.finder.place(fragment).owner
        assert fragment in [place.fragment for place in batched.finder.members(owner)]


@st.composite
def _days(draw: st.DrawFn) -> list[tuple[int, list[tuple[str, int, int, int]]]]:
    """Batches, and how many days pass before each; of each record kind, customer, event and days since publication."""
    kind = st.sampled_from(["interaction", "interaction", "context", "nonsense", "tombstone"])
    record = st.tuples(kind, st.integers(0, 2), st.integers(0, 9), st.integers(0, 4))
    return draw(st.lists(st.tuples(st.integers(0, 2), st.lists(record, min_size=1, max_size=6)), max_size=10))


@given(batches=_days(), remembered=st.sampled_from([1, 2, 50_000]))
@settings(max_examples=150, deadline=None)
def test_what_is_remembered_gives_the_rows_that_would_have_been_read(
    batches: list[tuple[int, list[tuple[str, int, int, int]]]], remembered: int
) -> None:
    retention = Retention(interactions_per_fragment_max=3, days=3)
    remembering, reading = Copy(retention), Copy(retention)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(projection, "REMEMBERED_MAX", remembered)
        patch.setattr(interaction_rows, "REMEMBERED_MAX", remembered)
        for days, steps in batches:
            remembering.clock.advance(days * SECONDS_PER_DAY)
            records = [_record(remembering, *step) for step in steps]
            reading.projection = Projection(reading.catalogue, remembering.clock, retention)
            remembering.put(*records)
            reading.put(*records)
            assert remembering.rows.rows == reading.rows.rows
    remembering.rows.rows.clear()
    remembering.projection.forget()
    remembering.put(*(_record(remembering, *step) for _, steps in batches for step in steps))
    for key, value in remembering.rows.scan(b"t/"):
        found = list(remembering.rows.scan(interactions_prefix(key.removeprefix(b"t/").decode())))
        assert Tally.unpacked(value).kept == len(found)


def _record(copy: Copy, kind: str, customer: int, event: int, days_ago: int) -> Record:
    fragment = copy.fragment("cookie", VALUES[customer])
    if kind == "interaction":
        record = copy.interaction(fragment, NOW_US + event, event=f"e-{event}")
        return record._replace(timestamp_ms=(copy.clock.now_us() - days_ago * DAY_US) // 1000)
    level = ("recognised", "anonymous")[event % 2].encode()
    value = {"context": b'{"identity":{"level":"%s"}}' % level, "nonsense": b"nonsense", "tombstone": None}[kind]
    return copy.record(Topic.CONTEXT, fragment.encode(), value)


def test_contexts_are_counted_whatever_is_published_again_or_taken_back() -> None:
    copy = Copy()
    counts = []
    for step in ("a", "b", "a", "-b", "-b", "-c", "b"):
        customer = step[-1] * 32
        if step.startswith("-"):
            copy.forget_context(customer)
        else:
            copy.context(customer)
        counts.append(unpack_count(copy.rows.get(CONTEXTS_KEY)))
    assert counts == [1, 2, 2, 1, 1, 1, 2]


def test_contexts_are_counted_by_level_and_identifiers_by_role_whatever_becomes_of_them() -> None:
    copy = Copy()
    customer = "a" * 32
    levels = []
    for level in ("anonymous", "recognised", "recognised", None):
        if level is None:
            copy.forget_context(customer)
        else:
            copy.put(copy.record(Topic.CONTEXT, customer.encode(), b'{"identity":{"level":"%s"}}' % level.encode()))
        levels.append(
            [unpack_count(copy.rows.get(LEVEL_COUNT_PREFIX + name)) for name in (b"anonymous", b"recognised")]
        )
    assert levels == [[1, 0], [0, 1], [0, 1], [0, 0]]
    roles = []
    owner = copy.fragment("cookie", "c-2")
    for role in (HOME, ATTACHED, SHARED):
        copy.link("cookie", "c-1", owner, role)
        roles.append([unpack_count(copy.rows.get(ROLE_COUNT_PREFIX + name.encode())) for name in (HOME, ATTACHED)])
    assert roles == [[1, 0], [0, 1], [0, 0]]


def test_rows_of_state_other_than_records_are_left_out() -> None:
    copy = Copy()
    copy.put(copy.record(Topic.STATE, day_prefix("a" * 32, 1), b"\x01x"))
    assert copy.rows.rows == {}
    keys = [day_prefix("a" * 32, 1), member_key("a" * 32, "b" * 32), record_key("a" * 32), POSITION_KEY]
    assert [is_projected_state(key) for key in keys] == [False, False, True, True]


def test_evidence_is_kept_under_its_key_until_it_is_taken_back() -> None:
    copy = Copy()
    key = evidence_key("a" * 32, "b" * 32, 1, "shop")
    copy.put(copy.record(Topic.LINKS, key, b"\x01x"))
    assert dict(copy.rows.scan(evidence_prefix("a" * 32))) == {key: b"\x01x"}
    copy.put(copy.record(Topic.LINKS, key, None))
    assert copy.rows.rows == {}


def test_the_newest_interactions_are_those_published_last_whatever_their_own_time() -> None:
    copy = Copy()
    fragment = copy.fragment("cookie", "c-1")
    for number in range(NEWEST_MAX + 10):
        record = copy.interaction(fragment, NOW_US - number * DAY_US, event=f"e-{number}")
        copy.put(record._replace(timestamp_ms=record.timestamp_ms + number))
    newest = unpack_newest(copy.rows.get(NEWEST_KEY))
    assert len(newest) == NEWEST_MAX
    assert [Moment.unpacked(one.moment).id for one in newest[:2]] == [f"e-{NEWEST_MAX + 9}", f"e-{NEWEST_MAX + 8}"]
    assert all(copy.rows.get(one.key) is not None for one in newest)


def test_an_interaction_that_can_not_be_read_is_left_out() -> None:
    copy = Copy()
    copy.put(
        copy.record(Topic.INTERACTIONS, b"k", b"not json"),
        copy.record(Topic.INTERACTIONS, b"k", b'{"fragment":"f","time":"no time","source":"s","id":"1"}'),
        copy.record(
            Topic.INTERACTIONS, b"k", b'{"fragment":"\xff","time":"2026-11-22T10:00:00Z","source":"s","id":"1"}'
        ),
        copy.record(Topic.INTERACTIONS, b"k", b'{"more":' + b"[" * 100_000),
        copy.record(Topic.INTERACTIONS, b"k", None),
    )
    assert copy.rows.rows == {}


def test_positions_in_the_changelogs_tell_how_far_the_agents_are() -> None:
    copy = Copy()
    copy.put(
        copy.record(Topic.STATE, POSITION_KEY, encode_row(PositionRow("id", 1, 0, 17))),
        copy.record(Topic.LINKS, POSITION_KEY, encode_row(PositionRow("id", 1, 0, 5))),
    )
    applied = applied_positions(copy.rows, copy.catalogue)
    assert copy.rows.get(position_key(Topic.ROUTED, 0)) is not None
    assert (applied("gt.routed", 0), applied("gt.identity.evidence", 0), applied("gt.raw.web", 0)) == (17, 5, None)
