"""Where a partition goes on: its position row, held against the group's offset and the input log."""

from schemas.errors import StateError
from schemas.rows import PositionRow


def require_position(
    position: PositionRow | None,
    *,
    where: str,
    topic_id: str,
    partitions: int,
    group_offset: int | None,
    log: tuple[int, int],
) -> PositionRow | None:
    """The position, where input log, state and group agree; None where nothing was ever applied.

    Args:
        position: The row that the changelog holds.
        where: The input partition, for messages.
        topic_id: The broker's id of the input topic.
        partitions: How many partitions the input topic has.
        group_offset: The offset that the group committed.
        log: The first offset of the input partition, and its end.

    Raises:
        StateError: the log lost what the state needs, or the other way round.
    """
    if position is None:
        if group_offset:
            raise StateError(
                f"the changelog of {where} holds no position, but the group committed offset {group_offset}: the state "
                "is gone; restore the changelog, or start anew with another GOLDENTHREAD_TOPIC_PREFIX"
            )
        return None
    low, high = log
    problem = None
    if position.topic_id != topic_id:
        problem = f"the topic of {where} was made again: offsets of the one that the state knows mean nothing in it"
    elif position.partitions != partitions:
        problem = f"the state of {where} was made with {position.partitions} partitions, now there are {partitions}"
    elif group_offset is not None and group_offset > position.next_offset:
        problem = (
            f"the group committed offset {group_offset} of {where}, the state ends at {position.next_offset}: the "
            "changelog lost its tail"
        )
    elif not low <= position.next_offset <= high:
        problem = f"{where} holds offsets {low} to {high}, the state goes on at {position.next_offset}"
    if problem is not None:
        raise StateError(problem)
    return position
