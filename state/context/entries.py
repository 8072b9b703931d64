"""The write-back cache: records and members stay decoded between checkpoints, so a busy customer is written once."""

from itertools import islice
from typing import Final

from schemas.rows import encode_row, member_key, member_prefix, record_key
from state.context.rows import MEMBERS, RECORDS, MemberRow, Record
from state.engine import Rows

#: Records and members that stay in memory; a usual one takes about 5 KB decoded.
CACHED_ROWS_MAX: Final = 100_000


class Entry:
    """A fragment's record and members, and what happened to them since the last drain."""

    __slots__ = ("changed_members", "counted", "folded", "fragment", "members", "record", "spoken", "told")

    def __init__(self, fragment: str, record: Record, members: dict[str, MemberRow] | None = None) -> None:
        self.fragment = fragment
        self.record = record
        #: None until asked for.
        self.members = members
        self.changed_members: set[str] = set()
        self.forget()

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
    """The entries of one partition, read from rows on demand."""

    def __init__(self, rows: Rows, cached_rows_max: int = CACHED_ROWS_MAX) -> None:
        self._rows = rows
        self._cached_rows_max = cached_rows_max
        self._cache: dict[str, Entry] = {}
        self._cached_members = 0
        #: Those that something happened to since the last drain, in the order of their first time.
        self.touched: dict[str, Entry] = {}

    def get(self, fragment: str) -> Entry:
        """The entry of the fragment, a new one if it was never heard of."""
        entry = self._cache.get(fragment)
        if entry is None:
            entry = self._cache[fragment] = Entry(fragment, self._record(fragment) or Record())
        return entry

    def members(self, entry: Entry) -> dict[str, MemberRow]:
        """All fragments that the entry's fragment ever heard of as an owner."""
        if entry.members is None:
            entry.members = self._members(entry.fragment) if entry.record.members else {}
            self._cached_members += len(entry.members)
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
        record = self._record(fragment) or Record()
        return Entry(fragment, record, self._members(fragment) if record.members else {})

    def _record(self, fragment: str) -> Record | None:
        value = self._rows.get(record_key(fragment))
        return None if value is None else RECORDS.decode(value)

    def _members(self, fragment: str) -> dict[str, MemberRow]:
        prefix = member_prefix(fragment)
        return {key[len(prefix) :].decode(): MEMBERS.decode(value) for key, value in self._rows.scan(prefix)}

    def drain(self) -> dict[bytes, bytes | None]:
        """The rows of all that was touched since the last drain."""
        drained: dict[bytes, bytes | None] = {}
        for fragment, entry in self.touched.items():
            drained[record_key(fragment)] = encode_row(entry.record)
            members = entry.members
            if entry.changed_members and members is not None:
                for member in entry.changed_members:
                    drained[member_key(fragment, member)] = encode_row(members[member])
        return drained

    def settled(self) -> None:
        """The drained rows are committed: shrink to the bound, by what was touched longest ago."""
        cache = self._cache
        for fragment, entry in self.touched.items():
            entry.forget()
            cache[fragment] = cache.pop(fragment)
        self.touched.clear()
        excess = len(cache) + self._cached_members - self._cached_rows_max
        leaving: list[str] = []
        for fragment, entry in islice(cache.items(), max(0, excess)):
            if excess <= 0:
                break
            leaving.append(fragment)
            held = len(entry.members or ())
            self._cached_members -= held
            excess -= 1 + held
        for fragment in leaving:
            del cache[fragment]
