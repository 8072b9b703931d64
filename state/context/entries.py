"""The cache of rows between checkpoints, and what a checkpoint works on: one fragment at a time.

What a fragment holds is some two hundred objects. Where those of thousands of customers lie about in memory, the
processor waits for them one by one: reading a row's bytes and making the objects anew costs half of what only writing
old ones does. So the cache holds encoded rows; an `Entry` is made of them for the one step in which everything that
came for the fragment is folded, published and written, and goes while it is still in the processor's own cache. It
stays decoded for a customer of very many members alone, where a change makes only its own part anew.
"""

from collections.abc import Iterable, Sequence
from typing import Final

from schemas.rows import encode_row, member_key, member_prefix, record_key
from state.context.rows import MEMBERS, RECORDS, MemberRow, Record
from state.context.standing import Standing
from state.engine import StoredRows

#: Records and members that stay in memory between checkpoints.
CACHED_ROWS_MAX: Final = 20_000
#: What these may take.
CACHED_SIZE_BYTES_MAX: Final = 48 * 1024 * 1024
# What an encoded row takes in memory beside its bytes, as measured: its key, its place in the mapping.
_ENCODED_ROW_BYTES: Final = 250
# What a decoded row takes, as measured: so much for itself, and so much for each byte of its encoding.
_ROW_SIZE_BYTES: Final = 1_200
_DECODED_RATIO: Final = 4.5
# What a member takes on top where its customer has many: see `state.context.standing`.
_STANDING_SIZE_BYTES: Final = 300


def encoded_size_bytes(encoded: bytes) -> int:
    """About what a row takes in memory as it is."""
    return _ENCODED_ROW_BYTES + len(encoded)


def decoded_size_bytes(encoded: bytes) -> int:
    """About what a row takes in memory once it is decoded."""
    return _ROW_SIZE_BYTES + int(_DECODED_RATIO * len(encoded))


class Entry:
    """A fragment's record and members, and what happened to them in this step."""

    __slots__ = (
        "changed_members", "counted", "decoded_bytes", "folded", "fragment", "member_sizes", "members", "record",
        "spoken", "standing", "told", "touched",
    )  # fmt: skip

    def __init__(self, fragment: str, record: Record, members: dict[str, MemberRow] | None = None) -> None:
        self.fragment = fragment
        self.record = record
        #: None until asked for.
        self.members = members
        #: Of a customer with many members, how they are joined; None until it is published.
        self.standing: Standing | None = None
        #: What its members take, each and together, where they stay decoded.
        self.member_sizes: dict[str, int] | None = None
        self.decoded_bytes = 0
        self.forget()

    def forget(self) -> None:
        """Nothing happened yet."""
        #: Anything happened that has to be written.
        self.touched = False
        #: An event went into the fragment.
        self.folded = False
        #: Identity spoke of the fragment.
        self.spoken = False
        #: The customer has more interactions than before.
        self.counted = False
        #: What the context says, counts and recent interactions aside, may have changed.
        self.told = False
        self.changed_members: set[str] = set()


class Entries:
    """The rows of one partition's records and members, read on demand.

    Between checkpoints at most `cached_rows_max` rows of at most `cached_size_bytes_max` stay; what a checkpoint holds
    comes on top until it is committed.
    """

    def __init__(
        self,
        rows: StoredRows,
        cached_rows_max: int = CACHED_ROWS_MAX,
        cached_size_bytes_max: int = CACHED_SIZE_BYTES_MAX,
    ) -> None:
        self._rows = rows
        self._cached_rows_max = cached_rows_max
        self._cached_size_bytes_max = cached_size_bytes_max
        # Encoded records, empty where there is none; what was written last comes last.
        self._records: dict[str, bytes] = {}
        # The encoded members of those, as far as they were asked for.
        self._members: dict[str, dict[str, bytes]] = {}
        # Customers of very many members, which stay decoded.
        self._decoded: dict[str, Entry] = {}
        self._cached_members = 0
        self._cached_size_bytes = 0

    def get(self, fragment: str) -> Entry:
        """The entry of the fragment, a new one if it was never heard of."""
        encoded = self._records.get(fragment)
        if encoded is None:
            self.read((fragment,))
            encoded = self._records[fragment]
        return self._decoded.get(fragment) or Entry(fragment, _record(encoded))

    def read(self, fragments: Iterable[str]) -> None:
        """Read the rows of fragments that are not at hand, in one go."""
        records = self._records
        cold = [fragment for fragment in fragments if fragment not in records]
        if cold:
            values = self._rows.get_many([record_key(fragment) for fragment in cold])
            for fragment, value in zip(cold, values, strict=True):
                records[fragment] = encoded = value or b""
                self._cached_size_bytes += encoded_size_bytes(encoded)

    def encoded(self, fragments: Iterable[str]) -> list[bytes]:
        """The records of fragments whose rows were read, as they are; empty where there is none."""
        records = self._records
        return [records[fragment] for fragment in fragments]

    def keep(self, fragments: Sequence[str], encoded: Sequence[bytes]) -> None:
        """The records of fragments, as somebody else has written them."""
        records = self._records
        # What was written last comes last.
        self._cached_size_bytes -= sum(map(len, map(records.pop, fragments)))
        records.update(zip(fragments, encoded, strict=True))
        self._cached_size_bytes += sum(map(len, encoded))

    def keep_members(self, owners: Iterable[str], keys: Iterable[bytes], encoded: Iterable[bytes]) -> None:
        """The members of fragments, as somebody else has written them."""
        changed: dict[str, dict[str, bytes]] = {}
        for owner, key, row in zip(owners, keys, encoded, strict=True):
            changed.setdefault(owner, {})[key[len(member_prefix(owner)) :].decode()] = row
        for owner, members in changed.items():
            self._hold_members(owner, self._drop_members(owner) | members)

    def members(self, entry: Entry) -> dict[str, MemberRow]:
        """All fragments that the entry's fragment ever heard of as an owner."""
        if entry.members is None:
            encoded = self.encoded_members(entry.fragment) if entry.record.members else {}
            entry.members = {fragment: MEMBERS.decode(value) for fragment, value in encoded.items()}
        return entry.members

    def member(self, entry: Entry, fragment: str) -> MemberRow:
        """The member of the entry, a new one if it was never heard of."""
        members = self.members(entry)
        member = members.get(fragment)
        if member is None:
            member = members[fragment] = MemberRow()
            entry.record.members = len(members)
        return member

    def committed(self, fragment: str) -> Entry:
        """The entry as it was before this step, for comparison."""
        record = _record(self._records[fragment])
        encoded = self.encoded_members(fragment) if record.members else {}
        return Entry(fragment, record, {member: MEMBERS.decode(row) for member, row in encoded.items()})

    def encoded_members(self, fragment: str) -> dict[str, bytes]:
        """The rows of all members, as they were before this step."""
        held = self._members.get(fragment)
        if held is None:
            prefix = member_prefix(fragment)
            held = {key[len(prefix) :].decode(): value for key, value in self._rows.scan(prefix)}
            if fragment not in self._decoded:
                self._hold_members(fragment, held)
        return held

    def store(self, entry: Entry, rows: dict[bytes, bytes | None]) -> None:
        """Write what the step made of an entry: into the rows of the checkpoint, and for whoever asks next."""
        fragment = entry.fragment
        encoded = rows[record_key(fragment)] = encode_row(entry.record)
        records = self._records
        self._cached_size_bytes += len(encoded) - len(records.pop(fragment))
        records[fragment] = encoded
        if entry.members:
            changed = {member: encode_row(entry.members[member]) for member in entry.changed_members}
            for member, row in changed.items():
                rows[member_key(fragment, member)] = row
            if entry.standing is not None:
                self._keep_decoded(entry, changed)
            elif fragment in self._decoded:
                self._drop_decoded(fragment)
            elif changed:
                self._hold_members(fragment, self._drop_members(fragment) | changed)
        entry.forget()

    def _keep_decoded(self, entry: Entry, changed: dict[str, bytes]) -> None:
        """Keep an entry as it is; `changed` are the members that were written."""
        fragment = entry.fragment
        self._drop_decoded(fragment)
        sizes = entry.member_sizes
        if sizes is None:
            changed = self._drop_members(fragment) | changed
            sizes = entry.member_sizes = {}
            entry.decoded_bytes = decoded_size_bytes(self._records[fragment])
        for member, row in changed.items():
            size = _STANDING_SIZE_BYTES + decoded_size_bytes(row)
            entry.decoded_bytes += size - sizes.get(member, 0)
            sizes[member] = size
        self._decoded[fragment] = entry
        self._cached_members += len(sizes)
        self._cached_size_bytes += entry.decoded_bytes

    def _drop_decoded(self, fragment: str) -> None:
        entry = self._decoded.pop(fragment, None)
        if entry is not None:
            self._cached_members -= len(entry.member_sizes or ())
            self._cached_size_bytes -= entry.decoded_bytes

    def _hold_members(self, fragment: str, encoded: dict[str, bytes]) -> None:
        self._members[fragment] = encoded
        self._cached_members += len(encoded)
        self._cached_size_bytes += sum(map(encoded_size_bytes, encoded.values()))

    def _drop_members(self, fragment: str) -> dict[str, bytes]:
        encoded = self._members.pop(fragment, {})
        self._cached_members -= len(encoded)
        self._cached_size_bytes -= sum(map(encoded_size_bytes, encoded.values()))
        return encoded

    def settled(self) -> None:
        """What was stored is committed: shrink to the bounds, by what was written longest ago."""
        leaving: list[str] = []
        rows = len(self._records)
        for fragment, encoded in self._records.items():
            is_over = self._cached_size_bytes > self._cached_size_bytes_max
            if rows + self._cached_members <= self._cached_rows_max and not is_over:
                break
            leaving.append(fragment)
            rows -= 1
            self._cached_size_bytes -= encoded_size_bytes(encoded)
            self._drop_members(fragment)
            self._drop_decoded(fragment)
        for fragment in leaving:
            del self._records[fragment]


def _record(encoded: bytes) -> Record:
    return RECORDS.decode(encoded) if encoded else Record()
