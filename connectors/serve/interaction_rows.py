"""Interactions to rows of the lookup's copy, and how many of them are kept.

Pure but for reading rows and for the clock, by which old days end.
"""

import itertools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from operator import itemgetter
from typing import Final, NamedTuple

import msgspec

from connectors.serve.changed_rows import ChangedRows
from connectors.serve.layout import (
    DAY_PREFIX,
    NEWEST_KEY,
    NEWEST_MAX,
    Tally,
    day_key,
    interactions_prefix,
    moment_of,
    pack_interaction,
    pack_moment,
    pack_newest,
    published_day_of,
    split_day_key,
    tally_key,
    unpack_newest,
)
from schemas.clock import Clock
from schemas.errors import EventError
from schemas.strict_json import UNREADABLE
from schemas.times import MICROSECONDS_PER_MILLISECOND, day_of, parse_time
from streams.bulk import Record
from streams.logs import logger

log = logger(__name__)

# A day of a fragment that is past its time costs a scan of the fragment; so many are cleared with each batch.
CLEARED_PER_BATCH_MAX: Final = 64
#: Of so many fragments that had interactions it is remembered how many; some 250 bytes each.
REMEMBERED_MAX: Final = 50_000
_PRESENT: Final = b""


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


class _Arrival(NamedTuple):
    """An interaction that could be read."""

    published_ms: int
    fragment: str
    moment: bytes
    #: Of its row.
    key: bytes
    value: bytes


# All of them come by here, and this takes half the time of naming the fields.
_arrival = partial(tuple.__new__, _Arrival)
#: The fields of a `Newest`.
_newest_of = itemgetter(0, 1, 2)


class _Kept(msgspec.Struct, gc=False):
    """What is remembered of a fragment: its tally, and a day of which it has a row."""

    count: int
    forgotten: int | None
    day: int | None = None


class InteractionRows:
    """Takes in interactions, batch by batch.

    Args:
        clock: Wall time, by which old days end.
        retention: How many interactions are kept.
        on_interaction: Told channel and time of publication (ms) of each interaction, by the caller's thread.
    """

    def __init__(self, clock: Clock, retention: Retention, on_interaction: Callable[[str, int], None] | None) -> None:
        self._clock = clock
        self._retention = retention
        self._on_interaction = on_interaction
        self._place = msgspec.json.Decoder(_Place)
        #: When the broker received the events of the last batch's interactions (microseconds).
        self.received: list[int] = []
        #: Interactions that were left out, since they could not be read.
        self.unreadable = 0
        # No row of a day is of one before this; None where that has to be looked up.
        self._oldest_day: int | None = None
        # Nobody else writes these rows, so what was put into them need not be read again.
        self._kept: dict[str, _Kept] = {}
        self._newest: list[tuple[int, str, bytes]] | None = None

    def forget(self) -> None:
        """The copy is made anew: what is remembered of it is no more."""
        self._kept.clear()
        self._newest = None
        self._oldest_day = None

    def take_in(self, records: Sequence[Record], batch: ChangedRows) -> None:
        """Put the rows of interactions into the batch.

        1. Read where each has its place. 2. Have at hand what is there already. 3. Put in what came. 4. Count it, and
        forget the oldest of fragments that have too many. 5. Remember which are the newest. 6. Forget old days.
        """
        # 1. Read where each has its place.
        self.received = []
        arrivals = [arrival for record in records if (arrival := self._read(record)) is not None]
        if not arrivals:
            return
        # 2. Have at hand what is there already.
        arrived: dict[str, list[bytes]] = {}
        for arrival in arrivals:
            arrived.setdefault(arrival.fragment, []).append(arrival.key)
        self._have_at_hand(arrived, batch)
        # 3. Put in what came.
        days: set[int] = set()
        for published_ms, fragment, _, key, value in arrivals:
            kept, day = self._kept[fragment], day_of(published_ms * MICROSECONDS_PER_MILLISECOND)
            if batch.get(key) is None:
                kept.count += 1
            batch.changes[key] = pack_interaction(day, value)
            if kept.day != day:
                kept.day = day
                batch.changes[day_key(day, fragment)] = _PRESENT
                days.add(day)
        # 4. Count it, and forget the oldest of fragments that have too many.
        for fragment, keys in arrived.items():
            kept = self._kept[fragment]
            batch.changes[tally_key(fragment)] = Tally(kept.count, kept.forgotten).packed()
            self._shorten(fragment, keys, batch)
        # 5. Remember which are the newest.
        self._newest = sorted({*map(_newest_of, arrivals), *(self._newest or ())}, reverse=True)[:NEWEST_MAX]
        batch.changes[NEWEST_KEY] = pack_newest(self._newest)
        # 6. Forget old days.
        self._clear_old_days(arrived, batch)
        # Those of this batch could not be seen yet.
        if self._oldest_day is not None:
            self._oldest_day = min({self._oldest_day, *days})
        for fragment in list(itertools.islice(self._kept, max(0, len(self._kept) - REMEMBERED_MAX))):
            del self._kept[fragment]

    def _have_at_hand(self, arrived: Mapping[str, Sequence[bytes]], batch: ChangedRows) -> None:
        unknown = [fragment for fragment in arrived if fragment not in self._kept]
        batch.have_at_hand([*itertools.chain.from_iterable(arrived.values()), *map(tally_key, unknown)])
        for fragment in unknown:
            tally = Tally.unpacked(batch.get(tally_key(fragment)))
            self._kept[fragment] = _Kept(tally.kept, tally.forgotten)
        if self._newest is None:
            self._newest = list(unpack_newest(batch.get(NEWEST_KEY)))

    def _read(self, record: Record) -> _Arrival | None:
        value, published_ms = record.value or b"", record.timestamp_ms
        try:
            place = self._place.decode(value)
            moment = pack_moment(parse_time(place.time), place.source, place.id)
            received = parse_time(place.received) if place.received else None
        except (EventError, *UNREADABLE):
            self.unreadable += 1
            log.warning(
                "interaction left out: it can't be read",
                topic=record.topic,
                partition=record.partition,
                offset=record.offset,
            )
            return None
        if received is not None:
            self.received.append(received)
        if self._on_interaction is not None:
            self._on_interaction(place.channel, published_ms)
        fragment = place.fragment
        return _arrival((published_ms, fragment, moment, interactions_prefix(fragment) + moment, value))

    def _shorten(self, fragment: str, arrived: Sequence[bytes], batch: ChangedRows) -> None:
        """Forget the oldest interactions of a fragment that has too many.

        A tenth over the bound is let pass, so that the scan's cost is shared by many interactions.
        """
        most = self._retention.interactions_per_fragment_max
        if self._kept[fragment].count > most + most // 10:
            found = _interactions_of(fragment, arrived, batch)
            self._delete(fragment, [key for key, _ in found[: len(found) - most]], len(found), batch)

    def _clear_old_days(self, arrived: Mapping[str, Sequence[bytes]], batch: ChangedRows) -> None:
        """Forget what was published too long ago, some fragments at a time."""
        oldest_day = day_of(self._clock.now_us()) - self._retention.days
        if self._oldest_day is not None and self._oldest_day >= oldest_day:
            return
        self._oldest_day = None
        for cleared, (key, _) in enumerate(batch.committed(DAY_PREFIX)):
            day, fragment = split_day_key(key)
            if day >= oldest_day or cleared >= CLEARED_PER_BATCH_MAX:
                if not cleared:
                    self._oldest_day = day
                return
            batch.changes[key] = None
            found = _interactions_of(fragment, arrived.get(fragment, ()), batch)
            old = [interaction for interaction, value in found if published_day_of(value) <= day]
            self._delete(fragment, old, len(found), batch)

    def _delete(self, fragment: str, keys: list[bytes], found: int, batch: ChangedRows) -> None:
        """Delete the interactions, in the order of their keys, of so many that are there."""
        # The next to come reads what is left from the rows.
        self._kept.pop(fragment, None)
        if not keys:
            return
        batch.changes.update(dict.fromkeys(keys))
        newest = moment_of(fragment, keys[-1]).time
        before = Tally.unpacked(batch.get(tally_key(fragment))).forgotten
        tally = Tally(found - len(keys), newest if before is None else max(before, newest))
        batch.changes[tally_key(fragment)] = tally.packed()


def _interactions_of(fragment: str, arrived: Sequence[bytes], batch: ChangedRows) -> list[tuple[bytes, bytes]]:
    """All interactions of the fragment as they will be, oldest first."""
    prefix = interactions_prefix(fragment)
    found = {key: value for key, value in batch.committed(prefix) if key not in batch.changes}
    for key in arrived:
        value = batch.changes.get(key)
        if value is not None:
            found[key] = value
    return sorted(found.items())
