"""Goal: whatever is gone is found before anything goes on, and said. Method: judgements, and a real broker's topics."""

import pytest

from schemas.errors import StateError
from schemas.rows import PositionRow
from schemas.topics import Catalogue
from streams.gaps import Cause, Changelog, Gap, Log, judge, told
from streams.group import GroupOffset, commit_offsets, members, read_offsets
from streams.kafka import KafkaOptions
from streams.position import require_position
from streams.topics import record_new_partitions, topic_ids

ROUTED = ("gt.routed", 2)
LOG = Log("id-1", 4, 10, 90)


def changelog(next_offset: int | None = 50, *, topic_id: str = "id-1", partitions: int = 4, era: int = 0) -> Changelog:
    position = None if next_offset is None else PositionRow(topic_id, partitions, era, next_offset)
    return Changelog("gt.context.state", position)


def judged(state: Changelog | None, group: GroupOffset | None, log: Log = LOG) -> Gap | None:
    return judge("context", ROUTED, log, group, state)


@pytest.mark.parametrize("group", [10, 49, 50])
def test_a_partition_where_all_agrees_has_no_gap(group: int) -> None:
    assert judged(changelog(), GroupOffset(group)) is None
    assert judged(None, GroupOffset(group, "id-1")) is None
    assert judged(None, GroupOffset(group)) is None, "an offset of an older version names no topic"


def test_a_partition_that_nobody_worked_on_has_no_gap() -> None:
    assert judged(changelog(None), GroupOffset(0), Log("id-1", 4, 0, 0)) is None
    assert judged(changelog(None), GroupOffset(0), Log("id-1", 4, 0, 70)) is None


@pytest.mark.parametrize(
    ("state", "group", "cause", "goes_on", "era"),
    [
        (changelog(topic_id="id-0"), 50, Cause.MADE_AGAIN, 10, 1),
        (changelog(95, era=2), 90, Cause.SHORTER, 10, 3),
        (changelog(5), 5, Cause.OVERTAKEN, 10, 1),
        (changelog(50), 60, Cause.STATE_BEHIND, 50, 1),
        (changelog(5), 60, Cause.STATE_BEHIND, 10, 1),
        (changelog(None), 60, Cause.STATE_GONE, 10, 1),
        (changelog(None), 0, Cause.OVERTAKEN, 10, 1),
        (changelog(50, era=4), None, Cause.OFFSET_GONE, 50, 4),
        (changelog(50, era=4), 9, Cause.OFFSET_GONE, 50, 4),
        (changelog(None), None, Cause.OFFSET_GONE, 10, 0),
        (changelog()._replace(accepted=True), 60, Cause.UNFINISHED, 50, 0),
    ],
)
def test_every_cause_of_a_stateful_partition(
    state: Changelog, group: int | None, cause: Cause, goes_on: int, era: int
) -> None:
    gap = judged(state, None if group is None else GroupOffset(group))
    assert gap is not None
    assert (gap.cause, gap.goes_on, gap.era) == (cause, goes_on, era)
    assert gap.is_harmless == (cause in (Cause.OFFSET_GONE, Cause.UNFINISHED))
    assert "gt.routed/2" in gap.gone
    assert "goldenthread state accept-gap" in told([gap])


@pytest.mark.parametrize(
    ("group", "cause"),
    [
        (None, Cause.OFFSET_GONE),
        (GroupOffset(50, "id-0"), Cause.MADE_AGAIN),
        (GroupOffset(91), Cause.SHORTER),
        (GroupOffset(9, "id-1"), Cause.OVERTAKEN),
    ],
)
def test_every_cause_of_a_raw_partition(group: GroupOffset | None, cause: Cause) -> None:
    gap = judged(None, group)
    assert gap is not None
    assert (gap.cause, gap.goes_on, gap.era, gap.is_harmless) == (cause, 10, 0, False)


def test_another_number_of_partitions_can_not_be_accepted() -> None:
    gap = judged(changelog(partitions=3), GroupOffset(50))
    assert gap is not None
    assert not gap.is_acceptable
    words = told([gap])
    assert "GOLDENTHREAD_PARTITIONS" in words
    assert "accept-gap" not in words


def test_what_is_gone_is_named_with_offsets_and_times() -> None:
    state = changelog(5)._replace(time_ms=1_795_341_600_000)
    gap = judged(state, GroupOffset(5))
    assert gap is not None
    assert "offsets 5 to 9 are gone unread" in gap.gone
    assert "the last checkpoint is of 2026-11-22T10:00:00Z" in gap.gone


def test_many_gaps_are_told_in_a_few_lines() -> None:
    gaps = [gap for number in range(9) if (gap := judge("intake", ("gt.raw.web", number), LOG, None)) is not None]
    words = told(gaps)
    assert "gt.raw.web/4" in words
    assert "gt.raw.web/5" not in words
    assert "and 4 partitions more" in words


def test_a_partition_opens_only_where_log_state_and_group_agree() -> None:
    position = PositionRow("id-1", 4, 0, 50)
    known = {"where": "gt.routed/2", "topic_id": "id-1", "partitions": 4, "log": (10, 90)}
    assert require_position(position, group_offset=50, **known) == position  # type: ignore[arg-type]
    assert require_position(position, group_offset=None, **known) == position  # type: ignore[arg-type]
    with pytest.raises(StateError, match="lost its tail"):
        require_position(position, group_offset=51, **known)  # type: ignore[arg-type]


@pytest.mark.kafka
def test_offsets_say_of_which_topic_they_are(kafka: KafkaOptions, catalogue: Catalogue) -> None:
    raw = catalogue.raw_topics()[0]
    places = [(raw, 0), (raw, 1)]
    # A broker that just started may know no coordinator yet: this waits for it.
    record_new_partitions(kafka, catalogue.prefix, {raw: 2})
    assert read_offsets(kafka, f"{catalogue.prefix}other", places) == {(raw, 0): None, (raw, 1): None}
    topic_id = topic_ids(kafka, [raw])[raw]
    offset = GroupOffset(0, topic_id)
    assert read_offsets(kafka, catalogue.prefix, places) == {(raw, 0): offset, (raw, 1): offset}
    commit_offsets(kafka, catalogue.prefix, {(raw, 1): GroupOffset(7)})
    assert read_offsets(kafka, catalogue.prefix, places) == {(raw, 0): offset, (raw, 1): GroupOffset(7)}
    assert members(kafka, catalogue.prefix) == ()
