"""Whether a store can be gone on with, and what becomes of the folder of one that can't."""

from collections.abc import Mapping
from pathlib import Path
from typing import Final

from schemas.errors import StateError, StoreUnusable
from schemas.topics import TOMBSTONE_RETENTION_MS, Partition
from state.store import Store
from state.store_cache import StoreCache
from state.store_folder import RebuildReason, remove, set_aside
from streams.logs import logger
from streams.metrics import Metrics

log = logger(__name__)

# Clocks of machines that share a disk, one after the other, differ by less.
_CLOCK_SLACK_MS: Final = 3_600_000
# Of these nobody knows what they hold; the others hold what their topics hold, or once held.
_KEPT: Final = frozenset({RebuildReason.DAMAGED, RebuildReason.FOREIGN})


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
    # One that was written while the clock was ahead does not tell how long it slept.
    oldest_ms, newest_ms = oldest_caught_up_ms(now_ms), now_ms + _CLOCK_SLACK_MS
    if any(not oldest_ms <= position.caught_up_ms <= newest_ms for position in positions.values()):
        return RebuildReason.STALE
    return None


def oldest_caught_up_ms(now_ms: float) -> float:
    """A store that was last caught up before this moment has slept too long; milliseconds since 1970.

    A deletion that came meanwhile may be gone from the topic after the tombstones' retention. Half of it, since
    reading takes its time, too.
    """
    return now_ms - TOMBSTONE_RETENTION_MS / 2


def make_way(path: Path, reason: str, detail: str, metrics: Metrics, name: str, *, keep: bool | None = None) -> None:
    """Move the folder of a store that is made anew out of the way, and tell of it.

    A damaged or foreign one is set aside, in the place of the one that was set aside before; others are removed.

    Args:
        path: The store's folder, which nobody has open.
        reason: A `RebuildReason`.
        detail: What was found, for people.
        metrics: Where it is counted.
        name: The store's name in metrics.
        keep: Whether it is set aside; None: as the reason says.

    Raises:
        StateError: the system lets nobody move it.
    """
    kept = None
    try:
        if reason in _KEPT if keep is None else keep:
            kept = set_aside(path, f"{reason}: {detail}")
        else:
            remove(path)
    except OSError as error:
        raise StateError(f"the store {path} can't be made anew, its folder can't be moved ({error})") from error
    metrics.store_rebuilds.labels(name, reason).inc()
    log.warning(
        "the store is made anew",
        store=str(path),
        reason=str(reason),
        detail=detail,
        kept=None if kept is None else str(kept),
    )


def open_copy(path: Path, *, name: str, secret_fingerprint: str, cache: StoreCache, metrics: Metrics) -> Store:
    """The store of a follower, made anew where it is damaged or of an older format; the follower then reads it all.

    Raises:
        StoreHeld, DiskRefused, StateError: as `Store.open`.
    """
    for reason in RebuildReason:
        metrics.store_rebuilds.labels(name, reason)
    try:
        return Store.open(path, secret_fingerprint=secret_fingerprint, cache=cache)
    except StoreUnusable as error:
        make_way(path, error.reason, str(error), metrics, name)
        return Store.open(path, secret_fingerprint=secret_fingerprint, cache=cache)
