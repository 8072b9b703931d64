"""The way of a drain through the library in Rust, where there is one (`state.native`), in front of the general way.

A piece of the fragments that something came for is packed as bytes: their rows and what is queued for each. The library
says what else has to be at hand (`plan`: identifiers, which Python unseals, dedupe rows and members), takes them in
(`step`), and gives back outputs and rows as bytes, which are put where the general way puts them. Fragments that it
refuses are as they were: the general way takes them. What both give is the same to the byte, and the general way is the
one that says what is right.
"""

import struct
from array import array
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from itertools import chain, islice
from typing import Final, NamedTuple

import msgspec

from schemas.rows import day_prefix
from state.context.bundles import BUNDLED_FROM_MEMBERS
from state.context.entries import Entries
from state.context.packed_identities import PackedIdentities
from state.context.publication import Unseal
from state.context.rows import MEMBERS
from state.dedupe import Dedupe
from state.fragment import Limits
from state.join import JoinRules
from state.native.answer import NOTHING, read_answer
from state.native.loading import Library
from state.native.packing import packed_text
from state.packed_outputs import Numbered, Piece

# Of each fragment of a plan: whether it is taken in (and named by what is queued), where its sealed identifier starts
# and its size, whether it has members, how many days it needs and how many become members.
_NEED_NUMBERS: Final = 6
_NAMED_NOW: Final = 2
# Of each that becomes a member: where its name and its sealed identifier start, each with its size.
_HEARD_NUMBERS: Final = 4
# Of each member that is supplied: its name, its row, its identifier.
_MEMBER_PARTS: Final = 3


class Queue(NamedTuple):
    """Records of `routed`, their offsets, and the places in them of what waits for each fragment."""

    values: Sequence[bytes]
    offsets: Sequence[int]
    waiting: Mapping[str, list[int]]


class Said(NamedTuple):
    """The outputs of one drain."""

    #: By the places of their events; all others by the fragments.
    interactions: Numbered
    changes: Numbered
    contexts: Numbered
    snapshots: Numbered
    #: The rows of the library, as records of the changelog.
    rows: Numbered


class Compiled:
    """The library, and what one partition's fragments need beside their bytes."""

    def __init__(
        self,
        library: Library,
        entries: Entries,
        dedupe: Dedupe,
        unseal: Unseal,
        rules: JoinRules,
        *,
        limits: Limits,
        era: int,
        document_size_bytes_max: int,
    ) -> None:
        self._library = library
        self._entries = entries
        self._dedupe = dedupe
        self._identities = PackedIdentities(unseal, rules)
        self._settings = b"".join(
            (
                struct.pack("<qIIq", era, document_size_bytes_max, dedupe.entries_size_bytes_max, BUNDLED_FROM_MEMBERS),
                *(struct.pack("<9I", *msgspec.structs.astuple(each)) for each in (limits, rules.limits)),
                struct.pack("<I", len(rules.trusted_traits)),
                *map(packed_text, sorted(rules.trusted_traits)),
            )
        )

    def take_in(
        self,
        numbers: range,
        fragments: Sequence[str],
        queue: Queue,
        said: Said,
        rows: dict[bytes, bytes | None],
        *,
        counts: Counter[str],
    ) -> Sequence[int]:
        """Take in what waits for fragments, whose rows are at hand and whose numbers in the drain are `numbers`.

        Outputs, rows and counts are added to those given. The numbers of fragments that are left to the general way are
        returned.

        1. Pack their rows and what is queued.
        2. Supply what the library asks for.
        3. Put what it made where the general way puts it.
        """
        # Step 1.
        request = self._request(fragments, queue)
        plan = None if request is None else self._library.plan(self._settings, request)
        if request is None or plan is None:
            return numbers
        # Step 2.
        made = self._library.step(self._settings, request, self._supply(fragments, request, plan))
        if made is None:
            return numbers
        # Step 3.
        answer = read_answer(made)
        counts.update(answer.counts)
        said.interactions.hold(Piece(made, answer.interactions, 0))
        for numbered, marks in (
            (said.contexts, answer.contexts),
            (said.changes, answer.changes),
            (said.snapshots, answer.snapshots),
        ):
            numbered.hold(Piece(made, marks, numbers.start))
        records, members = answer.records, answer.members
        for section in (records, answer.entries, members):
            rows.update(zip(section.keys, section.values, strict=True))
            said.rows.hold(Piece(made, section.marks, numbers.start))
        self._entries.keep([fragments[number] for number in records.numbers], records.values)
        self._dedupe.enter(answer.entries.keys, answer.entries.values)
        if members is not NOTHING:
            self._entries.keep_members([fragments[number] for number in members.numbers], members.keys, members.values)
        return [numbers[number] for number in answer.refused]

    def _request(self, fragments: Sequence[str], queue: Queue) -> bytes | None:
        """The piece as `piece.rs` reads it; None where a fragment's name is none that a key could have."""
        names = "".join(fragments)
        if not names.isascii():
            return None
        queues = [queue.waiting[fragment] for fragment in fragments]
        places = list(chain.from_iterable(queues))
        queued = [queue.values[place] for place in places]
        records = self._entries.encoded(fragments)
        if len(places) == len(queues):
            # One message each, as most have.
            parts: Iterable[bytes] = chain.from_iterable(zip(records, queued, strict=True))
        else:
            left = iter(queued)
            parts = chain.from_iterable(
                (record, *islice(left, len(queue))) for record, queue in zip(records, queues, strict=True)
            )
        header = (
            struct.pack("<II", len(fragments), len(places)),
            array("I", map(len, fragments)).tobytes(),
            array("I", map(len, records)).tobytes(),
            array("I", map(len, queues)).tobytes(),
            array("I", places).tobytes(),
            array("I", map(len, queued)).tobytes(),
            array("q", [queue.offsets[place] for place in places]).tobytes(),
            names.encode(),
        )
        return b"".join((*header, *parts))

    def _supply(self, fragments: Sequence[str], request: bytes, plan: bytes) -> bytes:
        """What the plan asked for, as `piece.rs` reads it: column by column, as loops over fragments cost the most."""
        split = _NEED_NUMBERS * len(fragments)
        numbers = array("I", plan)
        taken, starts, sizes, have_members, day_counts, heard_counts = (
            numbers[column:split:_NEED_NUMBERS] for column in range(_NEED_NUMBERS)
        )
        identities: list[bytes] = []
        for number, held in enumerate(map(self._identities.get, fragments)):
            # What names a fragment is read each time: a word that can't be read names none.
            if held is None or taken[number] == _NAMED_NOW:
                start, size = starts[number], sizes[number]
                held = self._identities.read(fragments[number], request[start : start + size])  # noqa: PLW2901 - the same.
                if size and not held:
                    taken[number] = 0
            identities.append(held)
        days = numbers[split : split + sum(day_counts)]
        owners = [number for number, count in enumerate(day_counts) for _ in range(count)]
        day_parts = {day: day_prefix("", day) for day in set(days)}
        keys = [fragments[owner].encode() + day_parts[day] for owner, day in zip(owners, days, strict=True)]
        entries: list[bytes] = []
        for owner, row in zip(owners, self._dedupe.held(keys), strict=True):
            if row is None:
                # One that is split.
                taken[owner] = 0
            entries.append(row or b"")
        members: list[bytes] = []
        member_counts = array("I", bytes(len(taken) * taken.itemsize))
        place = split + len(days)
        for number, (has_members, heard_count) in enumerate(zip(have_members, heard_counts, strict=True)):
            if has_members or heard_count:
                heard = numbers[place : place + _HEARD_NUMBERS * heard_count]
                place += len(heard)
                own = self._members(fragments[number], has_members, heard, request)
                if own is None:
                    taken[number] = 0
                else:
                    member_counts[number] = len(own) // _MEMBER_PARTS
                    members += own
        blobs = (*identities, *entries, *members)
        counts = array("I", (len(days), len(members) // _MEMBER_PARTS))
        lengths = array("I", map(len, blobs))
        return b"".join((counts, taken, day_counts, member_counts, days, lengths, *blobs))

    def _members(self, owner: str, has_members: int, heard: "array[int]", request: bytes) -> list[bytes] | None:
        """Of each member of the owner, and of each that may become one: its name, its row and its identifier.

        None where an identifier can't be read.
        """
        rows = dict(self._entries.encoded_members(owner)) if has_members else {}
        sealed: dict[str, bytes] = {}
        for place in range(0, len(heard), _HEARD_NUMBERS):
            start, size, sealed_start, sealed_size = heard[place : place + _HEARD_NUMBERS]
            name = request[start : start + size].decode()
            unread = request[sealed_start : sealed_start + sealed_size]
            # One that is named in two ways is the general way's.
            if sealed.setdefault(name, unread) != unread:
                return None
            rows.setdefault(name, b"")
        parts: list[bytes] = []
        for name, row in rows.items():
            # What makes it a member is read each time.
            held = None if name in sealed else self._identities.get(name)
            if held is None:
                unread = sealed.get(name) or _sealed_of(row)
                held = self._identities.read(name, unread) if unread else b""
                if unread and not held:
                    return None
            parts += (name.encode(), row, held)
        return parts


def _sealed_of(row: bytes) -> bytes:
    """The sealed identifier of a member; empty while it is not wanted."""
    if not row:
        return b""
    member = MEMBERS.decode(row)
    return member.sealed if member.wanted else b""
