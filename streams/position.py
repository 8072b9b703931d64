"""Where a partition goes on: its position row, held against the group's offset and the input log."""

from schemas.errors import StateError
from schemas.rows import PositionRow
from streams.gaps import Cause, Changelog, Log, judge, told
from streams.group import GroupOffset


def require_position(
    position: PositionRow | None,
    *,
    where: str,
    topic_id: str,
    partitions: int,
    group_offset: int | None,
    log: tuple[int, int],
    changelog: str = "the changelog",
) -> PositionRow | None:
    """The position, where input log, state and group agree; None where nothing was ever applied.

    Args:
        position: The row that the changelog holds.
        where: The input partition, as `topic/number`.
        topic_id: The broker's id of the input topic.
        partitions: How many partitions the input topic has.
        group_offset: The offset that the group committed; a missing one is no matter here.
        log: The first offset of the input partition, and its end.
        changelog: The full name of the topic that holds the state.

    Raises:
        StateError: the log lost what the state needs, or the other way round.
    """
    topic, _, number = where.rpartition("/")
    group = None if group_offset is None else GroupOffset(group_offset)
    gap = judge("", (topic, int(number)), Log(topic_id, partitions, *log), group, Changelog(changelog, position))
    if gap is not None and gap.cause is not Cause.OFFSET_GONE:
        raise StateError(told([gap]))
    return position
