"""Why a trait of a customer has its value: what each fragment says, and what the join made of it.

The join itself decides; here is told only by which part of its order each other value lost.
"""

from collections.abc import Iterable, Sequence
from enum import StrEnum
from typing import NamedTuple

from schemas.roles import ATTACHED
from state.former import Outdated
from state.fragment import Fragment, Register
from state.join import JoinRules, Part, join
from state.winners import Fact


class LostBy(StrEnum):
    """Why a value is not the one that is shown."""

    #: Attached members only fill in where those that the customer rests on say nothing.
    ATTACHED = "attached"
    #: It is an identifier that another one has replaced.
    FORMER = "former"
    #: Of a trusted trait: known less well.
    GRADE = "grade"
    TIME = "time"
    RANK = "rank"
    SOURCE = "source"
    EVENT = "event"
    #: The context shows as many traits as it may.
    LIMIT = "limit"


class Said(NamedTuple):
    """What a fragment says of a trait."""

    register: Register
    part: Part
    lost_by: LostBy | None = None


class TraitReasons(NamedTuple):
    """Why a trait has its value."""

    #: Whether the best grade counts before the newest.
    trusted: bool
    #: None where no value is shown, since there are too many traits; one that was withdrawn is a value here.
    winner: Said | None
    #: The best first.
    losers: tuple[Said, ...]


_AGE = (LostBy.TIME, LostBy.RANK, LostBy.SOURCE, LostBy.EVENT)


def explain_trait(name: str, home: Part, members: Sequence[Part], rules: JoinRules) -> TraitReasons | None:
    """Why the trait has its value; None where nobody says anything of it.

    Args:
        name: the trait.
        home: the fragment whose id is the customer's.
        members: those besides the home.
        rules: what the join goes by.
    """
    parts = [home, *sorted(members, key=lambda part: part.identifier)]
    said = [Said(register, part) for part in parts for register in _registers(name, part.content)]
    if not said:
        return None
    fact = join(home, members, rules).traits.get(name)
    trusted = name in rules.trusted_traits
    if fact is None:
        losers = [one._replace(lost_by=LostBy.LIMIT) for one in said]
        return TraitReasons(trusted, None, _ordered(losers, trusted=trusted))
    winner = _winner(fact, said)
    former = _Former(name, parts, rules)
    losers = [one._replace(lost_by=_lost_by(one, winner, former, trusted=trusted)) for one in said if one is not winner]
    return TraitReasons(trusted, winner, _ordered(losers, trusted=trusted))


class _Former:
    """Which values say an identifier that another one has replaced."""

    def __init__(self, name: str, parts: Sequence[Part], rules: JoinRules) -> None:
        self._name = name
        self._parts = parts
        self._outdated = Outdated([part.identifier for part in parts if part.former], rules.policy)

    def says(self, said: Said) -> bool:
        alike = [part.content for part in self._parts if _is_attached(part) == _is_attached(said.part)]
        return self._outdated.says(self._name, said.register, alike)


def _is_attached(part: Part) -> bool:
    return part.role == ATTACHED


def _registers(name: str, content: Fragment) -> list[Register]:
    """The newest that the fragment knows, and the best known one where that is another."""
    newest, best = content.traits.get(name), content.trusted_register(name)
    return [register for register in dict.fromkeys((newest, best)) if register is not None]


def _winner(fact: Fact, said: Sequence[Said]) -> Said:
    """Whose register the join shows; of one event in two fragments, the first."""
    return next(
        one for one in said if one.register == fact.register and _is_attached(one.part) == (fact.via is not None)
    )


def _lost_by(loser: Said, winner: Said, former: _Former, *, trusted: bool) -> LostBy:
    if _is_attached(loser.part) and not _is_attached(winner.part):
        return LostBy.ATTACHED
    if trusted and former.says(loser) and not former.says(winner):
        return LostBy.FORMER
    if trusted and loser.register.grade < winner.register.grade:
        return LostBy.GRADE
    keys = zip(_AGE, loser.register.age_key, winner.register.age_key, strict=True)
    # One event in two fragments says the same twice.
    return next((reason for reason, mine, best in keys if mine != best), LostBy.EVENT)


def _ordered(losers: Iterable[Said], *, trusted: bool) -> tuple[Said, ...]:
    def place(said: Said) -> tuple[object, ...]:
        register = said.register
        return not _is_attached(said.part), register.trust_key if trusted else register.age_key

    return tuple(sorted(losers, key=place, reverse=True))
