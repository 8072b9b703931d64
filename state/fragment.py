"""A profile fragment: what the events of one identifier add up to. Registers, sets, counts and newest-K lists.

Every part is commutative and idempotent over the set of its events (dedupe aside, which counts rely on), so any
order gives equal bytes. Bounded parts keep either the first by a key that is fixed per entry (days, newest first;
types, by name), so what left never returns and its count is not missed; or the newest of registers that only grow
(traits, refs, groups, permissions, recent), where an entry that left is older than all that stayed, and so is
everything that it could have said. Ties end with the entry's own name, so every order is total.

Mappings have text keys only: that is what a deterministic encoding can sort.
"""

from typing import Final

import msgspec

from schemas import limits

#: Registers of traits from logins and records that are kept beside the newest ones, per fragment.
TRUSTED_TRAITS_MAX: Final = 64
#: Identifiers that one context shows, strongest kinds first.
CONTEXT_IDENTIFIERS_MAX: Final = 128
#: JSON of a value that withdraws a trait.
WITHDRAWN: Final = b"null"


class Limits(msgspec.Struct, frozen=True):
    """How many entries of each part a fragment keeps and a context shows."""

    traits: int = limits.CONTEXT_TRAITS_MAX
    trusted: int = TRUSTED_TRAITS_MAX
    types: int = limits.CONTEXT_TYPES_MAX
    days: int = limits.CONTEXT_DAYS_MAX
    refs: int = limits.CONTEXT_REFS_MAX
    groups: int = limits.CONTEXT_GROUPS_MAX
    permissions: int = limits.CONTEXT_PERMISSIONS_MAX
    recent: int = limits.CONTEXT_RECENT_MAX
    identifiers: int = CONTEXT_IDENTIFIERS_MAX

    def halved(self) -> "Limits":
        """Half of each, for a context that is too large for a record."""
        return Limits(*(limit // 2 for limit in msgspec.structs.astuple(self)))


class Register(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """A value and the event that said it. Later fields break ties, so the order is total: ids are unique per source."""

    value: bytes
    time: int
    rank: int
    source: str
    event: str
    grade: int

    @property
    def age_key(self) -> tuple[int, int, str, str]:
        """Newest wins."""
        return (self.time, self.rank, self.source, self.event)

    @property
    def trust_key(self) -> tuple[int, int, int, str, str]:
        """The best grade wins, then the newest."""
        return (self.grade, self.time, self.rank, self.source, self.event)


class Count(msgspec.Struct, array_like=True, gc=False):
    """Distinct events and the times of the first and the last."""

    count: int
    first: int
    last: int


class RefRegister(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """The newest event about a reference."""

    status: str
    type: str
    time: int
    source: str
    event: str

    @property
    def age_key(self) -> tuple[int, str, str]:
        """Newest wins."""
        return (self.time, self.source, self.event)


class _Named(msgspec.Struct, gc=False):
    source: str
    id: str


_NAMED = msgspec.json.Decoder(_Named)


class Touch(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """An interaction as a line. It is written as JSON once, when the event comes, and copied from then on."""

    time: int
    #: "in", "out" or "".
    direction: str
    #: The JSON of a `schemas.document.RecentInteraction`.
    shown: bytes

    @property
    def age_key(self) -> tuple[int, str, str]:
        """Newest first; source and id are read from the JSON, since they matter at equal times only."""
        named = _NAMED.decode(self.shown)
        return (self.time, named.source, named.id)


class Fragment(msgspec.Struct, array_like=True, gc=False):
    """All that is kept of one identifier's events."""

    #: The best grade among its events; 0 before the first.
    grade: int = 0
    total: Count | None = None
    #: The newest register of each name.
    traits: dict[str, Register] = {}
    #: The best graded register of each name, of grades above `claimed`; None where it is the newest one.
    trusted: dict[str, Register | None] = {}
    #: channel -> purpose -> register of `true` or `false`.
    permissions: dict[str, dict[str, Register]] = {}
    channels: dict[str, Count] = {}
    types: dict[str, Count] = {}
    #: Day as `2026-11-22` -> channel -> count.
    days: dict[str, dict[str, int]] = {}
    #: kind -> id -> register.
    refs: dict[str, dict[str, RefRegister]] = {}
    #: kind -> value -> (time, source, id) of the newest event that said it.
    groups: dict[str, dict[str, tuple[int, str, str]]] = {}
    #: The last interaction in each direction that `recent` holds none of.
    last: dict[str, Touch] = {}
    #: Newest first.
    recent: list[Touch] = []

    def trusted_register(self, name: str) -> Register | None:
        """The best graded register of a trait above `claimed`, if there is one."""
        if name not in self.trusted:
            return None
        return self.trusted[name] or self.traits[name]

    def last_touch(self, direction: str) -> Touch | None:
        """The newest interaction in the direction."""
        for touch in self.recent:
            if touch.direction == direction:
                return touch
        return self.last.get(direction)


_ENCODER = msgspec.msgpack.Encoder(order="deterministic")
_FRAGMENT = msgspec.msgpack.Decoder(Fragment)


def encode_fragment(fragment: Fragment) -> bytes:
    """The bytes of a fragment, as snapshots carry them; equal fragments give equal bytes."""
    return _ENCODER.encode(fragment)


def decode_fragment(content: bytes) -> Fragment:
    """The fragment that a snapshot carries; raises one of `strict_json.UNREADABLE`."""
    return _FRAGMENT.decode(content)
