"""What is found out about one event, until it is written as one JSON object within its bound."""

from collections import Counter
from collections.abc import Mapping
from typing import Any, Final

from schemas.enrichment.names import DERIVED
from schemas.limits import ENRICHED_SIZE_BYTES_MAX, TRAITS_MAX
from schemas.strict_json import canonical_json, pointer_to

#: What came of enrichers' looks, by enricher and outcome.
Counts = Counter[tuple[str, str]]

#: Traits of one sort whose findings are told beside the first one's.
ALSO_MAX: Final = 4
_TRAITS_POINTER: Final = "/data/traits"
_NO_ROOM: Final = "no room for another trait"
# Parts that are left out of findings that are too large, most dispensable first: `data` has the originals.
_DISPENSABLE: Final = ("original", "failed")


class Findings:
    """The traits as they are to be, and what was found out."""

    __slots__ = ("_failed", "_given", "_of_traits", "_original", "_told", "counts", "traits")

    def __init__(self, traits: dict[str, bytes], counts: Counts) -> None:
        self._given = traits
        self.traits = traits
        #: Looks are counted there.
        self.counts = counts
        self._told: dict[str, Any] = {}
        self._original: dict[str, str] = {}
        self._failed: dict[str, str] = {}
        # Per enricher: the place of the trait's name in its list, the trait, what it says.
        self._of_traits: dict[str, list[tuple[int, str, Mapping[str, Any]]]] = {}

    def replace(self, trait: str, value: bytes, original: str) -> None:
        """Give a trait its comparable form."""
        self._set(trait, value)
        self._original[pointer_to(_TRAITS_POINTER, trait)] = original

    def fail(self, pointer: str, reason: str) -> None:
        """Say why a field could not be read; the reason never repeats it."""
        self._failed[pointer] = reason

    def fail_trait(self, trait: str, reason: str) -> None:
        """As `fail`, of a trait."""
        self.fail(pointer_to(_TRAITS_POINTER, trait), reason)

    def tell(self, name: str, told: Mapping[str, Any]) -> None:
        """Say what was found out about the event."""
        self._told[name] = told

    def tell_trait(self, name: str, place: int, trait: str, told: Mapping[str, Any]) -> None:
        """Say what an enricher found out about a trait; the one with the first place is told first."""
        self._of_traits.setdefault(name, []).append((place, trait, told))

    def derive(self, origin: str, told: Mapping[str, Any]) -> None:
        """Set what is derived from a trait, or withdraw what says nothing; the event's own word comes before ours."""
        for trait, name in DERIVED[origin].items():
            if trait in self._given:
                continue
            if len(self.traits) < TRAITS_MAX:
                self._set(trait, canonical_json(told.get(name)))
            else:
                self.fail_trait(trait, _NO_ROOM)

    def told(self) -> dict[str, Any]:
        """All that is told, by name."""
        told = self._told
        for name, of_traits in self._of_traits.items():
            of_traits.sort(key=lambda each: each[:2])
            (_, trait, first), *others = of_traits
            told[name] = {"trait": trait, **first}
            if others:
                told[name]["also"] = {trait: found for _, trait, found in others[:ALSO_MAX]}
        if self._original:
            told["original"] = self._original
        if self._failed:
            told["failed"] = self._failed
        return told

    def encode(self) -> bytes:
        """The findings as canonical JSON; empty where there are none."""
        told = self.told()
        if not told:
            return b""
        encoded = canonical_json(told)
        for part in _DISPENSABLE:
            if len(encoded) > ENRICHED_SIZE_BYTES_MAX:
                told.pop(part, None)
                encoded = canonical_json(told | {"cut": True})
        return encoded

    def _set(self, trait: str, value: bytes) -> None:
        if self.traits is self._given:
            self.traits = dict(self._given)
        self.traits[trait] = value
