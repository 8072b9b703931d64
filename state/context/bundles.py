"""The attached members of a large customer in bundles, of which a change makes only its own anew."""

from bisect import bisect_right, insort
from collections.abc import Iterator
from operator import attrgetter
from typing import Final

from schemas.identifiers import Identifier
from state.bundle import bundle
from state.join import Bundle, JoinRules, Part

#: Customers of fewer members are joined as they are.
BUNDLED_FROM_MEMBERS: Final = 64
# A change costs one bundle's making and one look at each bundle, so about the root of the members is best.
_PARTS_MAX: Final = 64

_IDENTIFIER = attrgetter("identifier")


class _Slot:
    """Up to so many parts of one kind, sorted by identifier, and what they make; None until it is asked for."""

    __slots__ = ("bundle", "parts")

    def __init__(self, parts: list[Part]) -> None:
        self.parts = parts
        self.bundle: Bundle | None = None


class Bundles:
    """The attached members of one customer."""

    def __init__(self, rules: JoinRules) -> None:
        self._rules = rules
        self._places: dict[str, Identifier] = {}
        # Sorted by identifier, which has the kind first.
        self._slots: list[_Slot] = []

    def __len__(self) -> int:
        return len(self._places)

    def put(self, fragment: str, part: Part | None) -> None:
        """The fragment's part is this from now on; None where it is no attached member any more."""
        held = self._places.pop(fragment, None)
        if held is not None:
            self._remove(held)
        if part is not None:
            self._places[fragment] = part.identifier
            self._insert(part)

    def bundles(self) -> list[Bundle]:
        """All of them, in the order of identifiers."""
        return list(self._made())

    def _made(self) -> Iterator[Bundle]:
        for slot in self._slots:
            if slot.bundle is None:
                slot.bundle = bundle(slot.parts, self._rules)
            yield slot.bundle

    def _insert(self, part: Part) -> None:
        place = bisect_right(self._slots, part.identifier, key=_first) - 1
        slot = self._slots[place] if place >= 0 else None
        if slot is None or slot.parts[0].identifier.kind != part.identifier.kind:
            # It is the least of its kind; the next one's slot takes it, where that is of its kind.
            place += 1
            slot = self._slots[place] if place < len(self._slots) else None
            if slot is None or slot.parts[0].identifier.kind != part.identifier.kind:
                self._slots.insert(place, _Slot([part]))
                return
        insort(slot.parts, part, key=_IDENTIFIER)
        slot.bundle = None
        if len(slot.parts) > _PARTS_MAX:
            half = len(slot.parts) // 2
            self._slots.insert(place + 1, _Slot(slot.parts[half:]))
            del slot.parts[half:]

    def _remove(self, identifier: Identifier) -> None:
        place = bisect_right(self._slots, identifier, key=_first) - 1
        slot = self._slots[place]
        del slot.parts[bisect_right(slot.parts, identifier, key=_IDENTIFIER) - 1]
        slot.bundle = None
        if not slot.parts:
            del self._slots[place]


def _first(slot: _Slot) -> Identifier:
    return slot.parts[0].identifier
