"""What the rules decide of an identifier: its state, its customer, how well it is linked to the home."""

from enum import IntEnum
from typing import NamedTuple

from schemas.identity_policy import Grade
from schemas.roles import HOME, SHARED


class Stage(IntEnum):
    """Which rule placed an identifier: the next recomputation builds on it."""

    #: Identifying links or requires: two or more identifiers joined, or one that is shared by its links.
    JOINING = 1
    #: By itself or with its group of one kind.
    ATTACHING = 2
    #: By itself, since its group of one kind is larger than the cluster limit.
    APART = 3


class Placement(NamedTuple):
    """Where the partition puts one identifier."""

    state: str
    #: The home's fragment id; of a shared identifier, its own.
    owner: str
    #: A home and a shared one: the best grade that named it. A member: the weakest link on its best path to the home.
    grade: int
    stage: Stage
    #: Of a shared identifier, neighbours by whose owners readers may go on, the best known first.
    candidates: tuple[str, ...] = ()

    @property
    def chain(self) -> int:
        """The grade of the path from here to the home, for what attaches here: nothing is weak at the home itself."""
        return Grade.RECORD if self.state == HOME else self.grade

    @property
    def joined(self) -> bool:
        """Whether stage 1 decided, so that stage 2 leaves it alone."""
        return self.stage == Stage.JOINING

    @property
    def bearing(self) -> tuple[str, bool, bool, int]:
        """All of it that decisions about neighbours look at."""
        return self.owner, self.state == SHARED, self.joined, self.chain
