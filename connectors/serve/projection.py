"""Records of the followed topics to rows of the lookup's copy.

Pure but for reading rows: the same records in other batches give the same rows. A record that can't be read is left
out with a line in the log; a row that a newer version wrote stops the follower.
"""

import itertools
import sys
from collections.abc import Callable, Mapping, Sequence
from typing import Final

import msgspec

from connectors.serve.changed_rows import ChangedRows
from connectors.serve.interaction_rows import InteractionRows, Retention
from connectors.serve.layout import (
    CONTEXTS_KEY,
    CONTEXTS_PREFIX,
    LEVEL_COUNT_PREFIX,
    LINKS_PREFIX,
    RECORDS_PREFIX,
    ROLE_COUNT_PREFIX,
    member_key,
    pack_count,
    position_key,
    unpack_count,
)
from schemas.clock import Clock
from schemas.rows import (
    EVIDENCE_ROW_PREFIX,
    LINK_ROW_PREFIX,
    ORDER_PREFIX,
    PAIR_ORDER_PREFIX,
    POLICY_ROW_KEY,
    REPAIR_ROW_KEY,
    SPLIT_IDENTIFIER_PREFIX,
    SPLIT_SOURCE_PREFIX,
    LinkRow,
    RowDecoder,
    fragment_bytes,
    is_record_key,
)
from schemas.strict_json import UNREADABLE
from schemas.topics import POSITION_KEY, Catalogue, Topic
from state.engine import StoredRows
from streams.bulk import Record

#: Of so many customers the level is remembered; some 170 bytes each.
REMEMBERED_MAX: Final = 50_000
_PRESENT: Final = b""
# What explanations read of `identity.links` besides places, kept under the keys that it has there.
_KEPT_AS_THEY_ARE: Final = (
    EVIDENCE_ROW_PREFIX,
    PAIR_ORDER_PREFIX,
    ORDER_PREFIX,
    SPLIT_IDENTIFIER_PREFIX,
    SPLIT_SOURCE_PREFIX,
    POLICY_ROW_KEY,
    REPAIR_ROW_KEY,
)
#: The topics that the copy is made of.
FOLLOWED: Final = (Topic.LINKS, Topic.CONTEXT, Topic.INTERACTIONS, Topic.STATE)


class _Identity(msgspec.Struct, gc=False):
    """How sure it is who a customer is."""

    level: str


class _Leveled(msgspec.Struct, gc=False):
    """What a context is counted by."""

    identity: _Identity


# Records of one topic, each with its key, in their order.
_Keyed = list[tuple[bytes, Record]]


def is_projected_state(key: bytes) -> bool:
    """Whether the projection reads a record of `context.state`; most of them are of no use here."""
    return is_record_key(key) or key == POSITION_KEY


class Projection:
    """Turns batches of records into changed rows; give it to a follower of `FOLLOWED`.

    Args:
        catalogue: The topics.
        clock: Wall time, by which old days end.
        retention: How many interactions are kept.
        on_interaction: Told channel and time of publication (ms) of each interaction, by the follower's thread.
    """

    def __init__(
        self,
        catalogue: Catalogue,
        clock: Clock,
        retention: Retention | None = None,
        on_interaction: Callable[[str, int], None] | None = None,
    ) -> None:
        #: Told of each batch, one without interactions too.
        self.interactions = InteractionRows(clock, retention or Retention(), on_interaction)
        # The levels of contexts that are there. Nobody else writes their rows, so they need not be read again.
        self._levels: dict[bytes, str | None] = {}
        self._leveled = msgspec.json.Decoder(_Leveled)
        self._link_row = RowDecoder(LinkRow)
        self._projections = {
            catalogue.name(Topic.CONTEXT): self._contexts,
            catalogue.name(Topic.INTERACTIONS): self._interactions,
            catalogue.name(Topic.LINKS): self._links,
            catalogue.name(Topic.STATE): self._states,
        }

    def __call__(self, records: Sequence[Record], rows: StoredRows) -> Mapping[bytes, bytes | None]:
        """The changed rows; None deletes."""
        # No two topics have rows in common, so each is taken in by itself, and what it asks the store for at once.
        by_topic: dict[str, _Keyed] = {topic: [] for topic in self._projections}
        for record in records:
            if record.key is not None:
                by_topic[record.topic].append((record.key, record))
        batch = ChangedRows(rows)
        for topic, keyed in by_topic.items():
            self._projections[topic](keyed, batch)
        return batch.changes

    def forget(self) -> None:
        """The copy is made anew: what is remembered of it is no more."""
        self._levels.clear()
        self.interactions.forget()

    def _contexts(self, keyed: _Keyed, batch: ChangedRows) -> None:
        levels = self._levels
        batch.have_at_hand([CONTEXTS_PREFIX + key for key, _ in keyed if key not in levels])
        for key, record in keyed:
            row_key, after = CONTEXTS_PREFIX + key, record.value
            if key in levels:
                was_there, level_before = True, levels[key]
            else:
                before = batch.get(row_key)
                was_there, level_before = before is not None, self._level(before)
            level = self._level(after)
            if was_there != (after is not None):
                count = unpack_count(batch.get(CONTEXTS_KEY)) + (-1 if was_there else 1)
                batch.changes[CONTEXTS_KEY] = pack_count(count)
            if level != level_before:
                batch.recount(LEVEL_COUNT_PREFIX, level_before, level)
            batch.changes[row_key] = after
            if after is None:
                levels.pop(key, None)
            else:
                levels[key] = level
        for key in list(itertools.islice(levels, max(0, len(levels) - REMEMBERED_MAX))):
            del levels[key]

    def _level(self, document: bytes | None) -> str | None:
        try:
            # One object for each of few words, of which one is remembered for each customer.
            return None if document is None else sys.intern(self._leveled.decode(document).identity.level)
        except UNREADABLE:
            return None

    def _interactions(self, keyed: _Keyed, batch: ChangedRows) -> None:
        self.interactions.take_in([record for _, record in keyed], batch)

    @staticmethod
    def _states(keyed: _Keyed, batch: ChangedRows) -> None:
        for key, record in keyed:
            if key == POSITION_KEY:
                batch.changes[position_key(Topic.ROUTED, record.partition)] = record.value
            elif is_record_key(key):
                batch.changes[RECORDS_PREFIX + fragment_bytes(key)] = record.value

    def _links(self, keyed: _Keyed, batch: ChangedRows) -> None:
        batch.have_at_hand(
            [LINKS_PREFIX + key.removeprefix(LINK_ROW_PREFIX) for key, _ in keyed if key.startswith(LINK_ROW_PREFIX)]
        )
        for key, record in keyed:
            if key == POSITION_KEY:
                batch.changes[position_key(Topic.EVIDENCE, record.partition)] = record.value
            elif key.startswith(LINK_ROW_PREFIX):
                self._place(key.removeprefix(LINK_ROW_PREFIX), record.value, batch)
            elif key.startswith(_KEPT_AS_THEY_ARE):
                batch.changes[key] = record.value

    def _place(self, fragment: bytes, value: bytes | None, batch: ChangedRows) -> None:
        """Put a fragment where its row of `identity.links` says."""
        row_key = LINKS_PREFIX + fragment
        encoded = batch.get(row_key)
        before = None if encoded is None else self._link_row.decode(encoded)
        after = None if value is None else self._link_row.decode(value)
        if before is not None:
            batch.changes[member_key(before.owner, fragment)] = None
        if after is not None:
            batch.changes[member_key(after.owner, fragment)] = _PRESENT
        batch.changes[row_key] = value
        batch.recount(
            ROLE_COUNT_PREFIX, None if before is None else before.state, None if after is None else after.state
        )
