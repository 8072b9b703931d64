"""Verification of a store that nobody writes to meanwhile: its files, what wrote it, and its topics."""

import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import msgspec

from schemas.errors import StateError, StoreUnusable
from schemas.topics import Partition
from state.store import Store, StoredPosition
from state.store_cache import StoreCache
from state.store_folder import RebuildReason
from streams.bulk import BulkReader
from streams.kafka import KafkaOptions
from streams.store_comparison import compare
from streams.store_state import rebuild_reason

#: The store is as it should be; of an empty one its process reads everything.
WHOLE: Final = "whole"
EMPTY: Final = "empty"
#: It says more than its topic holds, or its topic no longer holds what it reads next.
AHEAD: Final = "ahead"
OVERTAKEN: Final = "overtaken"
#: Its rows are not those of its topic.
DIFFERENT: Final = "different"
#: Nobody may use it as it is: a newer version or another secret wrote it, or the system lets nobody in.
REFUSED: Final = "refused"
#: A process has it open that makes no copies; it was not looked at.
IN_USE: Final = "in use"
# The last two are made anew by their process once it needs them, as those of partitions that moved away may never be.
_SOUND: Final = frozenset({WHOLE, EMPTY, IN_USE, str(RebuildReason.STALE), str(RebuildReason.OLDER_FORMAT)})


@dataclass(frozen=True)
class ExpectedStore:
    """A store as its process would open it.

    Attributes:
        name: Of its folder.
        path: Its folder.
        topics: The partitions that it is made from.
        copied: Whether its rows are those of its topic, one for one; a follower's are made from them.
    """

    name: str
    path: Path
    topics: frozenset[Partition]
    copied: bool


class StoreVerdict(msgspec.Struct, frozen=True):
    """What was found.

    Attributes:
        store: The store's name.
        path: Its folder.
        state: One of the words above, or a `RebuildReason`.
        rows: How many it holds; None where they could not be read to the end.
        behind: Offsets of its topics that it has not read yet; None where that means nothing.
        compared: Rows that were compared with the topic; None where that was not asked for, or can't be done.
        detail: What is wrong.
        action: What to do.
    """

    store: str
    path: str
    state: str
    rows: int | None = None
    behind: int | None = None
    compared: int | None = None
    detail: str = ""
    action: str = ""

    @property
    def sound(self) -> bool:
        """Whether there is nothing that somebody has to do."""
        return self.state in _SOUND


@dataclass(frozen=True)
class Verification:
    """Verifies stores against the topics of one installation.

    Attributes:
        kafka: The brokers.
        topic_ids: The broker's ids of the topics, by full name.
        secret_fingerprint: Of the secret that the stores have to be written with.
        cache: For the blocks that are read.
        scratch: A folder for what a deep comparison writes; None: rows are not compared.
    """

    kafka: KafkaOptions
    topic_ids: Mapping[str, str]
    secret_fingerprint: str
    cache: StoreCache
    scratch: Path | None = None

    def verify(self, expected: ExpectedStore, path: Path | None = None) -> StoreVerdict:
        """Look at one store, or at a copy of it that is in another folder.

        1. Open it: its files, format and secret. 2. Read all of it, by which every checksum is held to its block.
        3. Hold what it says of itself against the topics. 4. Compare its rows with the topic's, where asked for.

        Raises:
            BrokerUnreachable: no answer in time.
        """
        place = path or expected.path
        rows = None
        try:
            # Step 1.
            store = Store.open_to_read(place, secret_fingerprint=self.secret_fingerprint, cache=self.cache)
            try:
                # Step 2.
                rows = sum(1 for _ in store.rows())
                # Steps 3 and 4.
                return self._against_topics(expected, store, rows)
            finally:
                store.close()
        except StoreUnusable as error:
            return _verdict(expected, error.reason, rows, detail=str(error), action=_rebuild(expected))
        except StateError as error:
            return _verdict(expected, REFUSED, rows, detail=str(error), action="what the detail says")

    def in_use(self, expected: ExpectedStore, process: int) -> StoreVerdict:
        """What is said of a store that a process has open."""
        action = "not looked at; stop the process to verify it"
        return _verdict(expected, IN_USE, None, detail=f"held by process {process}", action=action)

    def _against_topics(self, expected: ExpectedStore, store: Store, rows: int) -> StoreVerdict:
        ids = {place: self.topic_ids[place[0]] for place in expected.topics}
        reason = rebuild_reason(store, ids, time.time() * 1000)
        positions = store.positions()
        if reason is not None:
            detail = {
                RebuildReason.FOREIGN: "it was made from another topic, partition or stage",
                RebuildReason.STALE: "it slept past half of the time that deletions are kept in its topic",
            }[reason]
            return _verdict(expected, reason, rows, detail=detail, action=_rebuild(expected))
        behind, problem = self._against_logs(expected, positions)
        if problem is not None:
            return problem
        state = WHOLE if positions else EMPTY
        if self.scratch is None or not expected.copied or not positions:
            return _verdict(expected, state, rows, behind=behind)
        (place, position), *_ = positions.items()
        found = compare(self.kafka, place, position.next_offset, store, scratch=self.scratch, cache=self.cache)
        if found.differences:
            named = ", ".join(key.hex() for key in found.examples)
            detail = f"{found.differences} rows are not as in {place[0]}/{place[1]}, such as {named}"
            return _verdict(expected, DIFFERENT, rows, behind, found.compared, detail, _rebuild(expected))
        return _verdict(expected, state, rows, behind, found.compared)

    def _against_logs(
        self, expected: ExpectedStore, positions: Mapping[Partition, StoredPosition]
    ) -> tuple[int, StoreVerdict | None]:
        """How many offsets the store has still to read, and what keeps it from that."""
        behind = 0
        reader = BulkReader(self.kafka, {})
        try:
            for place in sorted(expected.topics):
                low, end = reader.watermarks(*place)
                position = positions.get(place)
                offset = 0 if position is None else position.next_offset
                where = f"{place[0]}/{place[1]} holds offsets {low} to {end}, the store goes on at {offset}"
                if offset > end:
                    action = (
                        "bring the topic back; or give up what it lost: "
                        f"goldenthread state rebuild {expected.name} --discard"
                    )
                    return behind, _verdict(expected, AHEAD, None, detail=where, action=action)
                if 0 < offset < low:
                    return behind, _verdict(expected, OVERTAKEN, None, detail=where, action=_rebuild(expected))
                behind += end - max(offset, low)
        finally:
            reader.close()
        return behind, None


def _rebuild(expected: ExpectedStore) -> str:
    return f"goldenthread state rebuild {expected.name}"


def _verdict(  # noqa: PLR0917 - the columns of the table, in their order.
    expected: ExpectedStore,
    state: str,
    rows: int | None,
    behind: int | None = None,
    compared: int | None = None,
    detail: str = "",
    action: str = "",
) -> StoreVerdict:
    return StoreVerdict(expected.name, str(expected.path), str(state), rows, behind, compared, detail, action)
