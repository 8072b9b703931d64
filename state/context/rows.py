"""What the context stage keeps: a record per fragment, and a row per member that an owner ever heard of.

Ownership is a conversation by messages that may repeat or come late. Epochs put them in order: identity raises a
fragment's epoch with every change of its owner, state, role or grade, or of whether it is former, and whoever hears
of a lower one than it knows takes no notice.
"""

import msgspec

from schemas.messages import Add, Drop, Own, Snapshot
from schemas.roles import HOME
from schemas.rows import RowDecoder
from state.fragment import Fragment


class Record(msgspec.Struct, array_like=True, gc=False):
    """One fragment: what it is, whose it is, what was published under its id, and what its events add up to."""

    #: Empty before anything named the fragment's own identifier.
    kind: str = ""
    sealed: bytes = b""
    #: Another fragment's id; empty while the fragment owns itself, as it does until identity says otherwise.
    owner: str = ""
    state: str = HOME
    #: How well it is linked to its home, or of a home, the best grade that named it; 0 before identity did.
    grade: int = 0
    epoch: int = 0
    #: First and last sight by identity, in microseconds.
    first: int | None = None
    last: int | None = None
    #: The last applied position of `routed`.
    era: int = 0
    offset: int = -1
    #: The number of documents published under this id, ever.
    version: int = 0
    #: Whether a document stands under this id: the newest record of `context` is no tombstone. It is written in
    #: the transaction that publishes, so it can't be wrong after any crash.
    published: bool = False
    #: Events of earlier days are refused: their dedupe rows are gone.
    horizon_day: int = 0
    #: How many member rows there are, so that most fragments need no scan.
    members: int = 0
    content: Fragment = msgspec.field(default_factory=Fragment)
    #: Whether it was replaced by another identifier of the customer; rows of earlier versions don't say.
    former: bool = False

    def own(self, message: Own) -> bool:
        """Take in who the owner is; returns whether it is a word of the newest epoch, if only a repeated one."""
        if message.first is not None and message.last is not None:
            self.first = message.first if self.first is None else min(self.first, message.first)
            self.last = message.last if self.last is None else max(self.last, message.last)
        if message.epoch < self.epoch:
            return False
        self.owner = "" if message.owner == message.target else message.owner
        self.state, self.grade, self.epoch = message.state, message.grade, message.epoch
        self.former = message.former
        return True


class MemberRow(msgspec.Struct, array_like=True, gc=False):
    """A fragment that an owner heard of. The row stays when the fragment leaves, so that its epoch does."""

    #: The highest epoch heard of.
    epoch: int = -1
    #: Whether it is a member; false before its `add` and after its `drop`.
    wanted: bool = False
    kind: str = ""
    sealed: bytes = b""
    role: str = ""
    grade: int = 0
    #: The epoch and position of the newest snapshot.
    content_epoch: int = -1
    era: int = 0
    offset: int = -1
    #: First and last sight by identity, as the snapshot tells.
    first: int | None = None
    last: int | None = None
    content: Fragment = msgspec.field(default_factory=Fragment)
    #: Whether it was replaced by another identifier, as the snapshot tells.
    former: bool = False

    @property
    def settling(self) -> bool:
        """Whether the snapshot of its epoch is still on the way."""
        return self.content_epoch != self.epoch

    def add(self, message: Add) -> bool:
        """Take the fragment in; returns whether the message told anything new.

        One that stays, in another role or grade, shows what it held before until it speaks again.
        """
        # A snapshot of this epoch may have come first, where the `add` before it was lost: the place is still the old.
        known = message.epoch == self.epoch and self.wanted and (message.role, message.grade) == (self.role, self.grade)
        if message.epoch < self.epoch or known:
            return False
        self.epoch, self.wanted = message.epoch, True
        self.kind, self.sealed = message.kind, message.sealed
        self.role, self.grade = message.role, message.grade
        return True

    def drop(self, message: Drop) -> bool:
        """Let the fragment go, and what it held; returns whether the message told anything new."""
        if message.epoch < self.epoch or (message.epoch == self.epoch and not self.wanted):
            return False
        self.epoch, self.wanted = message.epoch, False
        self.content, self.content_epoch, self.former = Fragment(), -1, False
        return True

    def take(self, message: Snapshot, content: Fragment) -> bool:
        """Keep what the fragment holds; returns whether the message told anything new.

        A snapshot of a higher epoch than any heard of precedes its `add`; until that comes, the fragment stays in
        the place that it has.
        """
        position = (message.epoch, message.era, message.offset)
        if message.epoch < self.epoch or position <= (self.content_epoch, self.era, self.offset):
            return False
        self.epoch = message.epoch
        self.content_epoch, self.era, self.offset = position
        self.first, self.last, self.content = message.first, message.last, content
        self.former = message.former
        return True


RECORDS: RowDecoder[Record] = RowDecoder(Record)
MEMBERS: RowDecoder[MemberRow] = RowDecoder(MemberRow)
