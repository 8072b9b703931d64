"""Questions to answers, apart from HTTP: whose an identifier is, what is known of a customer, and how sure that is.

An identifier that hangs on a weaker chain than the reader asked for leads to its own fragment alone. That holds for
everything the answer says: neither the customer's id nor whether two such identifiers belong together comes out.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import msgspec

from connectors.serve.finding import Finder, Place, Published
from connectors.serve.fragments import FragmentContexts
from connectors.serve.graded import with_grade
from schemas.asked import AskedIdentifier
from schemas.identifiers import Identifier
from schemas.identity_policy import Grade
from schemas.roles import SHARED


class Match(msgspec.Struct, frozen=True):
    """How sure it is that the identifier is the customer's."""

    kind: str
    #: The weakest link between the identifier and the customer's home.
    grade: str
    #: identified, recognised or anonymous: how well the customer is known.
    level: str


class Conflict(msgspec.Struct, frozen=True, omit_defaults=True):
    """An identifier of the question that leads elsewhere than the answer."""

    #: Which one, as a JSON pointer into the question.
    pointer: str
    kind: str
    #: Of where it leads; `shared` where it is nobody's.
    level: str
    grade: str | None = None
    #: Where it leads, unless it is shared or hangs on a weaker chain than was asked for.
    customer: str | None = None


@dataclass(frozen=True)
class Found:
    """A context."""

    encoded: bytes
    #: None where only the identifier's own fragment is shown.
    customer: str | None
    match: Match | None = None
    conflicts: tuple[Conflict, ...] = ()
    #: Pointers to identifiers of the question that nothing is ever known by.
    unusable: tuple[str, ...] = ()


@dataclass(frozen=True)
class Moved:
    """The customer has another id now."""

    customer: str


@dataclass(frozen=True)
class Shared:
    """Several people use the identifier; it shows nobody's data."""

    candidates: tuple[str, ...]


@dataclass(frozen=True)
class Unknown:
    """Nothing is known."""


@dataclass(frozen=True)
class Unusable:
    """No identifier of the question is one that events are routed by."""

    pointers: tuple[str, ...]


Answer = Found | Moved | Shared | Unknown | Unusable
_UNKNOWN: Final = Unknown()


class Answers:
    """Answers from the lookup's copy."""

    def __init__(self, finder: Finder, fragments: FragmentContexts) -> None:
        self.finder = finder
        self._fragments = fragments

    def customer(self, customer: str) -> Found | Moved | Shared | Unknown:
        """The context of a customer by id."""
        place = self.finder.place(customer)
        if place.state == SHARED:
            return Shared(self.finder.candidates(place))
        published = self.finder.context_at(place)
        if published is None:
            return _UNKNOWN
        if published.glance.identity.level == SHARED:
            return Shared(())
        return Found(published.encoded, customer) if published.customer == customer else Moved(published.customer)

    def identifier(self, asked: AskedIdentifier, min_grade: Grade = Grade.CLAIMED) -> Answer:
        """The context that one identifier leads to."""
        return self.lookup([asked], min_grade)

    def lookup(self, asked: Sequence[AskedIdentifier], min_grade: Grade = Grade.CLAIMED) -> Answer:
        """The context that the strongest of the identifiers leads to, and which of them lead elsewhere.

        1. Normalise. 2. See where each leads, the strongest first. 3. The first that leads to a customer decides.
        4. Those that lead elsewhere are conflicts; those that lead nowhere are not.
        """
        # 1. Normalise.
        identifiers = [(number, self.finder.identifier(one)) for number, one in enumerate(asked)]
        unusable = tuple(pointer_to(number) for number, identifier in identifiers if identifier is None)
        usable = [(number, identifier) for number, identifier in identifiers if identifier is not None]
        if not usable:
            return Unusable(unusable)
        # 2. See where each leads.
        usable.sort(key=lambda pair: self.finder.strength(pair[1]))
        leads = [(number, identifier, self._lead(identifier, min_grade)) for number, identifier in usable]
        # 3. The first that leads to a customer decides.
        decider = next((lead for _, _, lead in leads if isinstance(lead, _Lead)), None)
        if decider is None:
            return next((lead for _, _, lead in leads if isinstance(lead, Shared)), _UNKNOWN)
        # 4. Those that lead elsewhere are conflicts.
        conflicts = [
            _conflict(number, identifier, lead)
            for number, identifier, lead in sorted(leads, key=lambda entry: entry[0])
            if isinstance(lead, Shared) or (isinstance(lead, _Lead) and lead.fold != decider.fold)
        ]
        return Found(decider.encoded, decider.customer, decider.match, tuple(conflicts), unusable)

    def _lead(self, identifier: Identifier, min_grade: Grade) -> "_Lead | Shared | Unknown":
        place = self.finder.place_of(identifier)
        if place.state == SHARED:
            # Candidates are customers, and how surely the identifier leads to each of them nobody says.
            return Shared(self.finder.candidates(place) if min_grade <= Grade.CLAIMED else ())
        published = self.finder.context_at(place)
        if published is None:
            return _UNKNOWN
        level = published.glance.identity.level
        if level == SHARED:
            return Shared(())
        grade = _grade(place, published)
        if grade >= min_grade:
            match = Match(identifier.kind, grade.label, level)
            shown = with_grade(published.encoded, min_grade)
            return _Lead(published.customer, published.customer, shown, match)
        alone = self._fragments.alone(place.fragment, identifier)
        if alone is None:
            return _UNKNOWN
        match = Match(identifier.kind, alone.grade.label, alone.level)
        return _Lead(place.fragment, None, alone.encoded, match)


@dataclass(frozen=True)
class _Lead:
    """Where one identifier leads."""

    #: The customer or, below the grade asked for, the fragment.
    fold: str
    customer: str | None
    encoded: bytes
    match: Match


def pointer_to(number: int) -> str:
    """Where the identifier stands in the body of a question."""
    return f"/identifiers/{number}"


def _grade(place: Place, published: Published) -> Grade:
    """That of the weakest link to the home; of the home itself, the best by which it was seen."""
    if place.fragment == published.customer or place.grade is None:
        return published.glance.home_grade
    return place.grade


def _conflict(number: int, identifier: Identifier, lead: _Lead | Shared) -> Conflict:
    if isinstance(lead, Shared):
        return Conflict(pointer_to(number), identifier.kind, SHARED)
    return Conflict(pointer_to(number), identifier.kind, lead.match.level, lead.match.grade, lead.customer)
