"""The write-back cache: records and members stay decoded between checkpoints, so a busy customer is written once."""

from collections.abc import Iterator
from typing import Final

from schemas.rows import encode_row, member_key, member_prefix, record_key
from state.context.rows import MEMBERS, RECORDS, MemberRow, Record
from state.context.standing import Standing
from state.engine import Rows

#: Records and members that stay in memory between checkpoints.
CACHED_ROWS_MAX: Final = 20_000
#: What these may take, decoded.
CACHED_SIZE_BYTES_MAX: Final = 48 * 1024 * 1024
# What a decoded row takes, as measured: so much for itself, and so much for each byte of its encoding.
_ROW_SIZE_BYTES: Final = 1_200
_DECODED_RATIO: Final = 4.5
# What a member takes on top where its customer has many: see `state.context.standing`.
_STANDING_SIZE_BYTES: Final = 300


def decoded_size_bytes(encoded_bytes: int) -> int:
    """About what a row takes in memory once it is decoded."""
    return _ROW_SIZE_BYTES + int(_DECODED_RATIO * encoded_bytes)


class Entry:
    """A fragment's record and members, and what happened to them since the last drain."""

    __slots__ = (
        "changed_members", "counted", "folded", "fragment", "member_sizes", "members", "record", "record_bytes",
        "spoken", "standing", "told",
    )  # fmt: skip

    def __init__(self, fragment: str, record: Record, members: dict[str, MemberRow] | None = None) -> None:
        self.fragment = fragment
        self.record = record
        #: None until asked for.
        self.members = members
        self.changed_members: set[str] = set()
        #: What record and members take, in bytes, as of the last time that they were read or written.
        self.record_bytes = decoded_size_bytes(0)
        self.member_sizes: dict[str, int] = {}
        #: Of a customer with many members, how they are joined; None until it is published.
        self.standing: Standing | None = None
        self.forget()

    @property
    def size_bytes(self) -> int:
        """What the entry takes."""
        return self.record_bytes + sum(self.member_sizes.values())

    def forget(self) -> None:
        """Nothing happened yet."""
        #: An event went into the fragment.
        self.folded = False
        #: Identity spoke of the fragment.
        self.spoken = False
        #: The customer has more interactions than before.
        self.counted = False
        #: What the context says, counts and recent interactions aside, may have changed.
        self.told = False
        self.changed_members.clear()


class Entries:
    """The entries of one partition, read from rows on demand.

    Between checkpoints at most `cached_rows_max` rows of at most `cached_size_bytes_max` stay; what a checkpoint holds
    comes on top until it is committed.
    """

    def __init__(
        self,
        rows: Rows,
        cached_rows_max: int = CACHED_ROWS_MAX,
        cached_size_bytes_max: int = CACHED_SIZE_BYTES_MAX,
    ) -> None:
        self._rows = rows
        self._cached_rows_max = cached_rows_max
        self._cached_size_bytes_max = cached_size_bytes_max
        self._cache: dict[str, Entry] = {}
        self._cached_members = 0
        self._cached_size_bytes = 0
        #: Those that something happened to since the last drain, in the order of their first time.
        self.touched: dict[str, Entry] = {}

    def get(self, fragment: str) -> Entry:
        """The entry of the fragment, a new one if it was never heard of."""
        entry = self._cache.get(fragment)
        if entry is None:
            value = self._rows.get(record_key(fragment))
            entry = Entry(fragment, Record() if value is None else RECORDS.decode(value))
            entry.record_bytes = decoded_size_bytes(len(value or b""))
            self._cached_size_bytes += entry.record_bytes
            self._cache[fragment] = entry
        return entry

    def members(self, entry: Entry) -> dict[str, MemberRow]:
        """All fragments that the entry's fragment ever heard of as an owner."""
        if entry.members is None:
            encoded = dict(self._encoded_members(entry.fragment)) if entry.record.members else {}
            entry.members = {fragment: MEMBERS.decode(value) for fragment, value in encoded.items()}
            entry.member_sizes = {fragment: _member_size_bytes(value) for fragment, value in encoded.items()}
            self._cached_members += len(encoded)
            self._cached_size_bytes += sum(entry.member_sizes.values())
        return entry.members

    def member(self, entry: Entry, fragment: str) -> MemberRow:
        """The member of the entry, a new one if it was never heard of."""
        members = self.members(entry)
        member = members.get(fragment)
        if member is None:
            member = members[fragment] = MemberRow()
            entry.record.members = len(members)
            self._cached_members += 1
        return member

    def committed(self, fragment: str) -> Entry:
        """The entry as of the last drain, for comparison."""
        value = self._rows.get(record_key(fragment))
        record = Record() if value is None else RECORDS.decode(value)
        encoded = self._encoded_members(fragment) if record.members else ()
        return Entry(fragment, record, {member: MEMBERS.decode(row) for member, row in encoded})

    def _encoded_members(self, fragment: str) -> Iterator[tuple[str, bytes]]:
        prefix = member_prefix(fragment)
        return ((key[len(prefix) :].decode(), value) for key, value in self._rows.scan(prefix))

    def drain(self) -> dict[bytes, bytes | None]:
        """The rows of all that was touched since the last drain."""
        drained: dict[bytes, bytes | None] = {}
        for fragment, entry in self.touched.items():
            before = entry.size_bytes
            encoded = drained[record_key(fragment)] = encode_row(entry.record)
            entry.record_bytes = decoded_size_bytes(len(encoded))
            members = entry.members
            if entry.changed_members and members is not None:
                for member in entry.changed_members:
                    encoded = drained[member_key(fragment, member)] = encode_row(members[member])
                    entry.member_sizes[member] = _member_size_bytes(encoded)
            self._cached_size_bytes += entry.size_bytes - before
        return drained

    def settled(self) -> None:
        """The drained rows are committed: shrink to the bounds, by what was touched longest ago."""
        cache = self._cache
        for fragment, entry in self.touched.items():
            entry.forget()
            cache[fragment] = cache.pop(fragment)
        self.touched.clear()
        rows = len(cache) + self._cached_members
        leaving: list[str] = []
        for fragment, entry in cache.items():
            if rows <= self._cached_rows_max and self._cached_size_bytes <= self._cached_size_bytes_max:
                break
            leaving.append(fragment)
            held = len(entry.members or ())
            self._cached_members -= held
            self._cached_size_bytes -= entry.size_bytes
            rows -= 1 + held
        for fragment in leaving:
            del cache[fragment]


def _member_size_bytes(encoded: bytes) -> int:
    return decoded_size_bytes(len(encoded)) + _STANDING_SIZE_BYTES
