"""Records of the followed topics to rows of the lookup's copy.

Pure but for reading rows: the same records in other batches give the same rows. A record that can't be read is left
out with a line in the log; a row that a newer version wrote stops the follower.
"""

import heapq
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import msgspec

from connectors.serve.layout import (
    CONTEXTS_KEY,
    DAY_PREFIX,
    LEVEL_COUNT_PREFIX,
    NEWEST_KEY,
    NEWEST_MAX,
    ROLE_COUNT_PREFIX,
    Moment,
    Newest,
    Tally,
    context_key,
    day_key,
    interaction_key,
    interactions_prefix,
    link_key,
    member_key,
    moment_of,
    pack_count,
    pack_interaction,
    pack_newest,
    position_key,
    published_day_of,
    record_row_key,
    split_day_key,
    tally_key,
    unpack_count,
    unpack_newest,
)
from schemas.clock import Clock
from schemas.errors import EventError
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
    fragment_of,
    is_record_key,
)
from schemas.strict_json import UNREADABLE
from schemas.times import MICROSECONDS_PER_MILLISECOND, day_of, parse_time
from schemas.topics import POSITION_KEY, Catalogue, Topic
from state.engine import Rows
from streams.bulk import Record
from streams.logs import logger

log = logger(__name__)

# A day of a fragment that is past its time costs a scan of the fragment; so many are cleared with each batch.
CLEARED_PER_BATCH_MAX: Final = 64
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


@dataclass(frozen=True)
class Retention:
    """How many interactions the copy keeps."""

    #: Of one fragment the newest so many are kept; a kiosk's cookie would otherwise fill the disk and slow its scans.
    interactions_per_fragment_max: int = 10_000
    #: Days since publication.
    days: int = 400


class _Place(msgspec.Struct, gc=False):
    """What the key of an interaction is made of, and the channel that it is counted by."""

    fragment: str
    time: str
    source: str
    id: str
    channel: str = ""
    received: str = ""


class _Identity(msgspec.Struct, gc=False):
    """How sure it is who a customer is."""

    level: str


class _Leveled(msgspec.Struct, gc=False):
    """What a context is counted by."""

    identity: _Identity


class _Batch:
    """Changed rows over the committed ones."""

    def __init__(self, rows: Rows) -> None:
        self._rows = rows
        self.changes: dict[bytes, bytes | None] = {}
        #: Fragments with new interactions, each with their keys.
        self.interactions: dict[str, list[bytes]] = {}
        self.newest: list[Newest] = []

    def get(self, key: bytes) -> bytes | None:
        return self.changes[key] if key in self.changes else self._rows.get(key)

    def recount(self, prefix: bytes, before: str | None, after: str | None) -> None:
        """One of them was counted as `before` and is `after` now; None where it was or is not there."""
        if before != after:
            for name, more in ((before, -1), (after, 1)):
                if name is not None:
                    key = prefix + name.encode()
                    self.changes[key] = pack_count(max(0, unpack_count(self.get(key)) + more))

    def interaction_rows(self, fragment: str) -> list[tuple[bytes, bytes]]:
        """All interactions of the fragment as they will be, oldest first."""
        found = {key: value for key, value in self._rows.scan(interactions_prefix(fragment)) if key not in self.changes}
        for key in self.interactions.get(fragment, ()):
            value = self.changes.get(key)
            if value is not None:
                found[key] = value
        return sorted(found.items())


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
        self._on_interaction = on_interaction
        #: When the broker received the events of the last batch's interactions (microseconds).
        self.received: list[int] = []
        #: Interactions that were left out, since they could not be read.
        self.unreadable = 0
        self._retention = retention or Retention()
        self._clock = clock
        self._place = msgspec.json.Decoder(_Place)
        self._leveled = msgspec.json.Decoder(_Leveled)
        self._link_row = RowDecoder(LinkRow)
        self._projections = {
            catalogue.name(Topic.CONTEXT): self._context,
            catalogue.name(Topic.INTERACTIONS): self._interaction,
            catalogue.name(Topic.LINKS): self._link,
            catalogue.name(Topic.STATE): self._state,
        }

    def __call__(self, records: Sequence[Record], rows: Rows) -> Mapping[bytes, bytes | None]:
        """The changed rows; None deletes."""
        batch = _Batch(rows)
        self.received = []
        for record in records:
            if record.key is not None:
                self._projections[record.topic](record, record.key, batch)
        for fragment in batch.interactions:
            self._shorten(fragment, batch)
        if batch.interactions:
            batch.changes[NEWEST_KEY] = pack_newest(
                heapq.nlargest(NEWEST_MAX, {*batch.newest, *unpack_newest(batch.get(NEWEST_KEY))})
            )
            self._clear_old_days(rows, batch)
        return batch.changes

    def _context(self, record: Record, key: bytes, batch: _Batch) -> None:
        row_key = context_key(key.decode())
        before = batch.get(row_key)
        more = (record.value is not None) - (before is not None)
        if more:
            batch.changes[CONTEXTS_KEY] = pack_count(unpack_count(batch.get(CONTEXTS_KEY)) + more)
        batch.recount(LEVEL_COUNT_PREFIX, self._level(before), self._level(record.value))
        batch.changes[row_key] = record.value

    def _level(self, document: bytes | None) -> str | None:
        try:
            return None if document is None else self._leveled.decode(document).identity.level
        except UNREADABLE:
            return None

    def _state(self, record: Record, key: bytes, batch: _Batch) -> None:
        if key == POSITION_KEY:
            batch.changes[position_key(Topic.ROUTED, record.partition)] = record.value
        elif is_record_key(key):
            batch.changes[record_row_key(fragment_of(key))] = record.value

    def _link(self, record: Record, key: bytes, batch: _Batch) -> None:
        if key == POSITION_KEY:
            batch.changes[position_key(Topic.EVIDENCE, record.partition)] = record.value
        if key.startswith(_KEPT_AS_THEY_ARE):
            batch.changes[key] = record.value
        if not key.startswith(LINK_ROW_PREFIX):
            return
        fragment = key.removeprefix(LINK_ROW_PREFIX).decode()
        encoded = batch.get(link_key(fragment))
        before = None if encoded is None else self._link_row.decode(encoded)
        after = None if record.value is None else self._link_row.decode(record.value)
        if before is not None:
            batch.changes[member_key(before.owner, fragment)] = None
        if after is not None:
            batch.changes[member_key(after.owner, fragment)] = _PRESENT
        batch.changes[link_key(fragment)] = record.value
        batch.recount(
            ROLE_COUNT_PREFIX, None if before is None else before.state, None if after is None else after.state
        )

    def _interaction(self, record: Record, _key: bytes, batch: _Batch) -> None:
        try:
            place = self._place.decode(record.value or b"")
            moment = Moment(parse_time(place.time), place.source, place.id)
            received = parse_time(place.received) if place.received else None
        except (EventError, *UNREADABLE):
            self.unreadable += 1
            log.warning(
                "interaction left out: it can't be read",
                topic=record.topic,
                partition=record.partition,
                offset=record.offset,
            )
            return
        day = day_of(record.timestamp_ms * MICROSECONDS_PER_MILLISECOND)
        key = interaction_key(place.fragment, moment)
        if batch.get(key) is None:
            tally = Tally.unpacked(batch.get(tally_key(place.fragment)))
            batch.changes[tally_key(place.fragment)] = tally._replace(kept=tally.kept + 1).packed()
        batch.changes[key] = pack_interaction(day, record.value or b"")
        batch.changes[day_key(day, place.fragment)] = _PRESENT
        batch.interactions.setdefault(place.fragment, []).append(key)
        if received is not None:
            self.received.append(received)
        batch.newest.append(Newest(record.timestamp_ms, place.fragment, moment.packed()))
        if self._on_interaction is not None:
            self._on_interaction(place.channel, record.timestamp_ms)

    def _shorten(self, fragment: str, batch: _Batch) -> None:
        """Forget the oldest interactions of a fragment that has too many.

        A tenth over the bound is let pass, so that the scan's cost is shared by many interactions.
        """
        most = self._retention.interactions_per_fragment_max
        tally = Tally.unpacked(batch.get(tally_key(fragment)))
        if tally.kept <= most + most // 10:
            return
        found = batch.interaction_rows(fragment)
        self._forget(fragment, [key for key, _ in found[: len(found) - most]], len(found), batch)

    def _clear_old_days(self, rows: Rows, batch: _Batch) -> None:
        """Forget what was published too long ago, some fragments at a time."""
        oldest_day = day_of(self._clock.now_us()) - self._retention.days
        for cleared, (key, _) in enumerate(rows.scan(DAY_PREFIX)):
            day, fragment = split_day_key(key)
            if day >= oldest_day or cleared >= CLEARED_PER_BATCH_MAX:
                return
            batch.changes[key] = None
            found = batch.interaction_rows(fragment)
            old = [interaction for interaction, value in found if published_day_of(value) <= day]
            self._forget(fragment, old, len(found), batch)

    @staticmethod
    def _forget(fragment: str, keys: list[bytes], found: int, batch: _Batch) -> None:
        """Delete the interactions, in the order of their keys, of so many that are there."""
        if not keys:
            return
        batch.changes.update(dict.fromkeys(keys))
        newest = moment_of(fragment, keys[-1]).time
        before = Tally.unpacked(batch.get(tally_key(fragment))).forgotten
        tally = Tally(found - len(keys), newest if before is None else max(before, newest))
        batch.changes[tally_key(fragment)] = tally.packed()
