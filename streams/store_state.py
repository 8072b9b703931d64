"""What a store says of itself, held against the topics that it was made from: whether it can be gone on with."""

from collections.abc import Mapping

from schemas.topics import TOMBSTONE_RETENTION_MS
from state.store import Store
from state.store_folder import RebuildReason

#: A topic by its full name, and the number of one of its partitions.
Partition = tuple[str, int]


def rebuild_reason(store: Store, topic_ids: Mapping[Partition, str], now_ms: float) -> RebuildReason | None:
    """Why the store has to be made anew; None where it can be gone on with.

    Args:
        store: The store, open.
        topic_ids: The partitions that it is made from, each with the broker's id of its topic.
        now_ms: The time, in milliseconds since 1970.

    Raises:
        StoreUnusable: it is damaged.
    """
    positions = store.positions()
    unknown = positions.keys() - topic_ids.keys()
    # Rows and positions are written together, so rows without a position came in another way.
    if unknown or (not positions and next(store.rows(), None) is not None):
        return RebuildReason.FOREIGN
    if any(position.topic_id != topic_ids[place] for place, position in positions.items()):
        return RebuildReason.FOREIGN
    # A deletion that came while the store slept may be gone from the topic after the tombstones' retention.
    oldest_ms = now_ms - TOMBSTONE_RETENTION_MS / 2
    if any(position.caught_up_ms < oldest_ms for position in positions.values()):
        return RebuildReason.STALE
    return None
