"""Stores made anew because an operator says so, while the process that they belong to is stopped."""

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Final

from agents.known_evidence import project_evidence
from goldenthread.parts import Parts
from goldenthread.stage_options import stage_options
from goldenthread.stores import LINKS, partition_store
from schemas.errors import BrokerUnreachable, StateError, StoreUnusable
from schemas.topics import Topic
from state.store import Store
from state.store_cache import StoreCache
from state.store_folder import RebuildReason
from streams.follower import Follower
from streams.metrics import Metrics
from streams.restore import Restore
from streams.store_state import make_way
from streams.store_verification import ExpectedStore
from streams.topics import topic_ids

_POLL_SECONDS: Final = 0.1
# A copy of identity's links that stands still for so long is not being read.
_STANDSTILL_SECONDS_MAX: Final = 120.0

#: Told now and then how many offsets are left.
Progress = Callable[[int], None]


@dataclass(frozen=True)
class Rebuilding:
    """Makes stores of one installation anew."""

    parts: Parts
    cache: StoreCache
    metrics: Metrics

    @classmethod
    def of(cls, parts: Parts, cache: StoreCache) -> "Rebuilding":
        """For a command, whose metrics nobody reads."""
        return cls(parts, cache, Metrics("state", version("goldenthread")))

    def rebuild(self, store: ExpectedStore, on_progress: Progress, *, discard: bool) -> int | None:
        """Make one store anew; how many records were read into it, None where its process reads them at its start.

        Raises:
            StateError: its topic has less than the store, and that is not to be discarded.
            StoreHeld: its process runs.
        """
        of_partition = partition_store(store.name)
        if of_partition is not None:
            options = stage_options(
                self.parts,
                of_partition.stage,
                data_dir=store.path.parent,
                metrics=self.metrics,
                cache=self.cache,
            )
            changelog_id = topic_ids(options.kafka, [options.changelog_name])[options.changelog_name]
            restore = Restore(
                options,
                of_partition.partition,
                changelog_id=changelog_id,
                closing=threading.Event(),
                on_progress=on_progress,
            )
            rebuilt, records = restore.rebuild(discard=discard)
            rebuilt.close()
            return records
        self._require_free(store.path)
        make_way(store.path, RebuildReason.ASKED, "an operator asked for it", self.metrics, store.name)
        return self._read_links(store.path) if store.name == LINKS else None

    def _require_free(self, path: Path) -> None:
        try:
            Store.open(path, secret_fingerprint=self.parts.keyring.fingerprint, cache=self.cache).close()
        except (StoreUnusable, StateError):
            # Nobody has it, and whatever it is goes.
            return

    def _read_links(self, path: Path) -> int:
        parts = self.parts
        topic = parts.catalogue.name(Topic.LINKS)
        store = Store.open(path, secret_fingerprint=parts.keyring.fingerprint, cache=self.cache)
        try:
            follower = Follower(
                LINKS, kafka=parts.kafka, topics={topic: 1}, store=store, project=project_evidence, metrics=self.metrics
            )
            follower.start()
            try:
                _wait(follower, topic)
            finally:
                follower.stop()
            return sum(1 for _ in store.rows())
        finally:
            store.close()


def _wait(follower: Follower, topic: str) -> None:
    seen, moved_s = -1, time.monotonic()
    while not follower.ready:
        if follower.failure is not None:
            raise follower.failure
        offset = follower.next_offset(topic, 0) or 0
        if offset != seen:
            seen, moved_s = offset, time.monotonic()
        elif time.monotonic() - moved_s > _STANDSTILL_SECONDS_MAX:
            raise BrokerUnreachable(f"{topic} could not be read on from {offset} for {_STANDSTILL_SECONDS_MAX:.0f} s")
        time.sleep(_POLL_SECONDS)
