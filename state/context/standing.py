"""What is kept in memory of a large customer between checkpoints: its members as they are joined, and what was said.

Nothing here is state: all of it can be made of the rows again, and is after a restart.
"""

from collections.abc import Collection, Sequence

from schemas.document import ContextDocument
from schemas.roles import ATTACHED
from state.context.bundles import Bundles
from state.join import Bundle, Joined, JoinRules, Part


class Standing:
    """One large customer as of its newest document."""

    __slots__ = ("_attached", "_resting", "said")

    def __init__(self, rules: JoinRules) -> None:
        self._attached = Bundles(rules)
        self._resting: dict[str, Part] = {}
        #: What its document says, and the document itself; None before there is one.
        self.said: tuple[Joined, ContextDocument] | None = None

    def __len__(self) -> int:
        return len(self._resting) + len(self._attached)

    def put(self, fragment: str, part: Part | None) -> None:
        """The fragment's part is this from now on; None where it is no member any more."""
        attached = part is not None and part.role == ATTACHED
        self._attached.put(fragment, part if attached else None)
        if part is None or attached:
            self._resting.pop(fragment, None)
        else:
            self._resting[fragment] = part

    def members(self) -> tuple[Collection[Part], Sequence[Bundle]]:
        """Those that the customer rests on, and the attached ones."""
        return self._resting.values(), self._attached.bundles()

    def say(self, joined: Joined, document: ContextDocument) -> None:
        """Keep what is said now, for comparison.

        Where there are no members any more, it refers to the home's own counts, which go on: then nothing is kept.
        """
        self.said = (joined, document) if len(self) else None
