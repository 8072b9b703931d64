"""Dedupe: exact, not a window. Which events a fragment was given, in rows of their own, one tree per day.

An entry is 12 bytes: 8 of the hash of (source, id), 4 of the hash of the event as its producer sent it. A row holds
its entries sorted. Before a row passes its size it is split: it becomes a mark, and its entries move to up to 16
rows, by the next hexadecimal digit of their hash, whose keys are longer by that digit. Whether a row is split
depends only on how many entries belong under it, so the rows are the same for every order of arrival; mark and
moved entries are written in one transaction like all rows, so no crash comes between.
"""

import hashlib
from enum import Enum, auto
from typing import Any, Final

from schemas.limits import ASSIGNED_TIME_HORIZON_DAYS, DEDUPE_ROW_SIZE_BYTES_MAX
from schemas.messages import RoutedEvent
from schemas.rows import RowDecoder, day_of_key, day_prefix, days_prefix, encode_row, fragment_of
from schemas.times import MICROSECONDS_PER_DAY
from state.engine import Rows

NAME_SIZE_BYTES: Final = 8
CONTENT_SIZE_BYTES: Final = 4
ENTRY_SIZE_BYTES: Final = NAME_SIZE_BYTES + CONTENT_SIZE_BYTES
#: What the rows that stay in memory between checkpoints may take; most hold a few entries.
CACHED_SIZE_BYTES_MAX: Final = 12 * 1024 * 1024
# What a row takes in memory beside its key and its entries, as measured.
_CACHED_ROW_BYTES: Final = 180

# What encoding adds to the entries: the format byte and the header of the bytes.
_ROW_OVERHEAD_BYTES: Final = 4
# The format byte and the header of up to 255 bytes, by their form; and those of more.
_SHORT_FORM: Final = 0xC4
_SHORT_HEADER_BYTES: Final = 3
_LONG_HEADER_BYTES: Final = 4
# The value of a row that was split.
_SPLIT: Final = None
# In place of a row that is not at hand.
_UNREAD: Final[Any] = object()


class Verdict(Enum):
    """What an event is to its fragment."""

    NEW = auto()
    DUPLICATE = auto()
    #: The same source and id, other content: the first stands.
    CONFLICT = auto()


class Dedupe:
    """The events that the fragments of one partition were given."""

    def __init__(
        self,
        rows: Rows,
        *,
        row_size_bytes_max: int = DEDUPE_ROW_SIZE_BYTES_MAX,
        assigned_horizon_days: int = ASSIGNED_TIME_HORIZON_DAYS,
        cached_size_bytes_max: int = CACHED_SIZE_BYTES_MAX,
    ) -> None:
        self._rows = rows
        self._decoder: RowDecoder[bytes | None] = RowDecoder(bytes | None)  # type: ignore[arg-type]  # a union is a shape
        self._size_bytes_max = row_size_bytes_max - _ROW_OVERHEAD_BYTES
        self._assigned_horizon_days = assigned_horizon_days
        self._cached_size_bytes_max = cached_size_bytes_max
        self._cache: dict[bytes, bytes | None] = {}
        self._cached_size_bytes = 0
        self._changed: dict[bytes, None] = {}
        self._horizons: dict[str, int] = {}

    def judge(self, event: RoutedEvent, *, is_first_of_day: bool = False) -> Verdict:
        """Whether the event is new to its fragment; a new one is entered.

        Args:
            event: The event.
            is_first_of_day: The fragment was never given an event of that day, so no row is looked for.
        """
        name = name_of(event.source, event.id)
        content = event.content[:CONTENT_SIZE_BYTES].ljust(CONTENT_SIZE_BYTES, b"\0")
        day = event.time // MICROSECONDS_PER_DAY
        prefix = key = day_prefix(event.target, day)
        cache = self._cache
        held = cache.get(key, _UNREAD)
        if held is _UNREAD:
            entries: bytes = b""
            if not is_first_of_day:
                key, entries = self._leaf(prefix, name)
        elif held is _SPLIT:
            key, entries = self._leaf(prefix, name)
        else:
            entries = held
        known = _find(entries, name)
        if not known and event.assigned:
            known = self._find_near(event.target, day, name)
        if known:
            return Verdict.DUPLICATE if known[NAME_SIZE_BYTES:] == content else Verdict.CONFLICT
        # An entry is put at the end: a row is sorted once, when it is written, and not at each entry.
        if key in cache:
            self._cached_size_bytes += ENTRY_SIZE_BYTES
        else:
            self._cached_size_bytes += _cached_bytes(key, entries) + ENTRY_SIZE_BYTES
        cache[key] = entries = entries + name + content
        self._changed[key] = None
        if len(entries) > self._size_bytes_max:
            self._split(key, len(key) - len(prefix), entries)
        return Verdict.NEW

    @property
    def entries_size_bytes_max(self) -> int:
        """What a row's entries may take before it is split."""
        return self._size_bytes_max

    def held(self, keys: list[bytes]) -> list[bytes | None]:
        """The entries of rows, for somebody else who judges by them; None for a row that was split."""
        return [self._get(key) for key in keys]

    def enter(self, keys: list[bytes], encoded: list[bytes]) -> None:
        """Rows that somebody else has judged by and written."""
        cache = self._cache
        grown = 0
        for key, row in zip(keys, encoded, strict=True):
            entries = row[_SHORT_HEADER_BYTES:] if row[1] == _SHORT_FORM else row[_LONG_HEADER_BYTES:]
            # What was changed last comes last.
            held = cache.pop(key, _UNREAD)
            grown += len(entries) - len(held) if held is not _UNREAD else _cached_bytes(key, entries)
            cache[key] = entries
        self._cached_size_bytes += grown

    def _find_near(self, fragment: str, day: int, name: bytes) -> bytes:
        """The entry of a copy whose time was assigned on a day before or after."""
        for distance in range(1, self._assigned_horizon_days + 1):
            for near in (day - distance, day + distance):
                if near >= 0:
                    _, entries = self._leaf(day_prefix(fragment, near), name)
                    held = _find(entries, name)
                    if held:
                        return held
        return b""

    def _leaf(self, prefix: bytes, name: bytes) -> tuple[bytes, bytes]:
        """The row that the name belongs to, and its entries."""
        entries = self._get(prefix)
        if entries is not _SPLIT:
            return prefix, entries
        digits = name.hex().encode()
        # A row of one name never splits, so there are enough digits.
        for depth in range(1, len(digits) + 1):
            key = prefix + digits[:depth]
            entries = self._get(key)
            if entries is not _SPLIT:
                return key, entries
        raise AssertionError("a dedupe row was split below a whole hash")

    def _get(self, key: bytes) -> bytes | None:
        try:
            return self._cache[key]
        except KeyError:
            value = self._rows.get(key)
            entries = b"" if value is None else self._decoder.decode(value)
            self._keep(key, entries)
            return entries

    def _keep(self, key: bytes, entries: bytes | None) -> None:
        self._drop(key)
        self._cache[key] = entries
        self._cached_size_bytes += _cached_bytes(key, entries)

    def _drop(self, key: bytes) -> None:
        if key in self._cache:
            self._cached_size_bytes -= _cached_bytes(key, self._cache.pop(key))

    def _split(self, key: bytes, depth: int, entries: bytes) -> None:
        self._keep(key, _SPLIT)
        parts: dict[bytes, list[bytes]] = {}
        for start in range(0, len(entries), ENTRY_SIZE_BYTES):
            entry = entries[start : start + ENTRY_SIZE_BYTES]
            digit = entry[:NAME_SIZE_BYTES].hex()[depth].encode()
            parts.setdefault(digit, []).append(entry)
        for digit, part in parts.items():
            child = key + digit
            self._keep(child, b"".join(part))
            self._changed[child] = None
            if len(part) * ENTRY_SIZE_BYTES > self._size_bytes_max and len(part) > 1:
                self._split(child, depth + 1, self._cache[child] or b"")

    def evict(self, fragment: str, horizon_day: int) -> None:
        """Forget the fragment's whole days before the horizon, at the next drain. None of them may be judged again."""
        self._horizons[fragment] = horizon_day

    def drain(self) -> dict[bytes, bytes | None]:
        """The changed rows since the last drain; None deletes."""
        if not self._horizons:
            return {key: self._encoded(key) for key in self._changed}
        drained: dict[bytes, bytes | None] = {}
        for fragment, horizon_day in self._horizons.items():
            for key, _ in self._rows.scan(days_prefix(fragment)):
                if day_of_key(key) >= horizon_day:
                    break
                drained[key] = None
                self._drop(key)
        for key in self._changed:
            if day_of_key(key) >= self._horizons.get(fragment_of(key), 0):
                drained[key] = self._encoded(key)
            else:
                self._drop(key)
        return drained

    def _encoded(self, key: bytes) -> bytes:
        entries = self._cache[key]
        return encode_row(entries if entries is _SPLIT else _sorted(entries))

    def settled(self) -> None:
        """The drained rows are committed: shrink to the bound, by what was changed longest ago."""
        self._horizons.clear()
        cache = self._cache
        for key in self._changed:
            if key in cache:
                cache[key] = cache.pop(key)
        self._changed.clear()
        excess = self._cached_size_bytes - self._cached_size_bytes_max
        leaving: list[bytes] = []
        for key, entries in cache.items():
            if excess <= 0:
                break
            leaving.append(key)
            excess -= _cached_bytes(key, entries)
        for key in leaving:
            self._drop(key)


def _cached_bytes(key: bytes, entries: bytes | None) -> int:
    return _CACHED_ROW_BYTES + len(key) + len(entries or b"")


def name_of(source: str, event: str) -> bytes:
    """The hash of an event's name. The length of the source keeps (`ab`, `c`) and (`a`, `bc`) apart."""
    return hashlib.blake2b(f"{len(source)}:{source}{event}".encode(), digest_size=NAME_SIZE_BYTES).digest()


def _find(entries: bytes, name: bytes) -> bytes:
    """The entry of the name; empty where there is none. Most are new, and one search over the bytes says so."""
    place = entries.find(name)
    while place >= 0:
        if place % ENTRY_SIZE_BYTES == 0:
            return entries[place : place + ENTRY_SIZE_BYTES]
        # The bytes lie across two entries.
        place = entries.find(name, place + 1)
    return b""


def _sorted(entries: bytes) -> bytes:
    if len(entries) <= ENTRY_SIZE_BYTES:
        return entries
    starts = range(0, len(entries), ENTRY_SIZE_BYTES)
    return b"".join(sorted([entries[start : start + ENTRY_SIZE_BYTES] for start in starts]))
