"""What a message touched, for the recomputation to decide again."""

from typing import NamedTuple

import msgspec


class ChangedPair(NamedTuple):
    """A pair with new evidence of this grade."""

    one: str
    other: str
    grade: int


class Relinked(NamedTuple):
    """An identifier that was split off, or is so no more; orders of its pairs are told as others are."""

    fragment: str
    #: All that evidence shows with it: neighbour, its kind, the best grade.
    neighbours: tuple[tuple[str, str, int], ...]


class Touched(msgspec.Struct, frozen=True):
    """Pairs and identifiers about which something changed in the graph."""

    #: Pairs with new evidence.
    changed: tuple[ChangedPair, ...] = ()
    #: Pairs whose standing order changed.
    ordered: tuple[tuple[str, str], ...] = ()
    #: Identifiers that only orders had named before, and that evidence names now.
    formed: tuple[str, ...] = ()
    #: Identifiers that a repair has come to; nothing need have changed about them.
    again: tuple[str, ...] = ()
    #: Identifiers that were linked before and are split off now, and those that are linked again.
    severed: tuple[Relinked, ...] = ()
    restored: tuple[Relinked, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.changed) or self._unusual

    @property
    def only_links(self) -> bool:
        """Whether there is new evidence of pairs, and nothing else."""
        return bool(self.changed) and not self._unusual

    @property
    def _unusual(self) -> bool:
        return bool(self.ordered or self.formed or self.again or self.severed or self.restored)

    @property
    def pairs(self) -> set[tuple[str, str]]:
        """The pairs, each in the order of its ids: of them a veto is news."""
        named = [*(pair[:2] for pair in self.changed), *self.ordered]
        return {(min(pair), max(pair)) for pair in named}

    @property
    def renamed(self) -> list[str]:
        """Identifiers that may be former now, or be so no more."""
        if not self.ordered and not self.again:
            return []
        return sorted({end for pair in self.ordered for end in pair}.union(self.again))
