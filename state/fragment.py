"""A profile fragment: what the events of one identifier add up to. Registers, sets, counts and newest-K lists.

Every part is commutative and idempotent over the set of its events (dedupe aside, which counts rely on), so any
order gives equal bytes. Bounded parts keep either the greatest by a key that is fixed per entry (days, newest
first; types, the first by name), so what left never returns and its count is not missed; or the newest by
(time, source, id) of a register that only grows (traits, refs, groups, permissions, recent).
"""

import msgspec


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


class TraitRegisters(msgspec.Struct, array_like=True, gc=False):
    """The newest value, and the best graded one where that is another; which is shown is policy."""

    newest: Register
    trusted: Register | None = None


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


class TouchRegister(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """An interaction as a line: in `recent`, or the last in its direction."""

    time: int
    source: str
    event: str
    type: str
    channel: str
    summary: str
    direction: str


class Fragment(msgspec.Struct, array_like=True, gc=False):
    """All that is kept of one identifier's events."""

    #: The best grade among its events; 0 before the first.
    grade: int = 0
    total: Count | None = None
    traits: dict[str, TraitRegisters] = {}
    #: channel -> purpose -> register of `true` or `false`.
    permissions: dict[str, dict[str, Register]] = {}
    channels: dict[str, Count] = {}
    types: dict[str, Count] = {}
    #: Day since 1970 -> channel -> count.
    days: dict[int, dict[str, int]] = {}
    #: kind -> id -> register.
    refs: dict[str, dict[str, RefRegister]] = {}
    #: kind -> value -> (time, source, id) of the newest event that said it.
    groups: dict[str, dict[str, tuple[int, str, str]]] = {}
    last_in: TouchRegister | None = None
    last_out: TouchRegister | None = None
    #: Newest first.
    recent: list[TouchRegister] = []
