"""Lookups that show another person's trait, judged at read time: every identifier of every person is asked for.

A trait that another person's event told is foreign, unless its value is true of the asking person too (people of one
household have a city in common). A lookup that shows a foreign trait counts once, as the first of these that holds:

- *stranger*: its teller has no identifier in common with the asking person, so that a link led too far;
- *close*: they have one in common, as households, couples and colleagues do;
- *planted*: it was told under an identifier of the asking person that is not the teller's own (a mistyped or forged
  address), so that it stands there whatever is linked.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, NamedTuple

from bench.identity.people import DEFAULT_REALM, Person
from bench.identity.records import EventKey, Record, Truth
from bench.identity.stream import World
from schemas.identifiers import Identifier


class Ask(NamedTuple):
    """Somebody is looked up by an identifier; nobody in particular where it is nobody's."""

    identifier: Identifier
    asking: Truth | None


class ShownTrait(NamedTuple):
    """A trait in an answer, and the event that told it."""

    name: str
    value: Any
    event: EventKey


@dataclass(slots=True)
class Exposure:
    """How lookups ended; shares are of all of them."""

    lookups: int = 0
    #: Those that showed a context.
    answered: int = 0
    #: Those that showed another's trait: see the module.
    stranger: int = 0
    close: int = 0
    planted: int = 0
    examples: list[str] = field(default_factory=list)

    def share(self, outcome: str) -> float:
        """The share of all lookups that ended so: `answered`, `stranger`, `close` or `planted`."""
        count: int = getattr(self, outcome)
        return count / self.lookups if self.lookups else 0.0

    def to_json(self) -> dict[str, Any]:
        """All of it as JSON values."""
        return asdict(self)


_EXAMPLES_MAX = 10


class Asking:
    """Who may ask by what, and what each answer showed.

    Args:
        world: The people.
        records: All events so far, whose truths decide.
        now: The time of asking, as a fraction of the run: a number that was given up is no longer one's own.
    """

    def __init__(self, world: World, records: Iterable[Record], now: float) -> None:
        self._people: Mapping[int, Person] = {
            one.number: one for one in (*world.people.customers, *world.people.testers)
        }
        self._truths = {number: person.truths() for number, person in self._people.items()}
        self._events = {record.key: record for record in records}
        self._owners: defaultdict[Identifier, dict[Truth, None]] = defaultdict(dict)
        self._mishaps: defaultdict[Ask, set[str]] = defaultdict(set)
        self._has: defaultdict[Truth, set[Identifier]] = defaultdict(set)
        strangers: defaultdict[Identifier, set[Truth]] = defaultdict(set)
        for record in self._events.values():
            self._has[record.truth].update(record.own)
            for identifier in record.own:
                if not self._given_up(identifier, record.truth, now):
                    self._owners[identifier][record.truth] = None
                    self._mishaps[Ask(identifier, record.truth)].update(record.mishaps)
            for identifier in record.foreign:
                strangers[identifier].add(record.truth)
        self.asks = [Ask(identifier, owner) for identifier, owners in self._owners.items() for owner in owners]
        #: What several people used though it is none of theirs: kiosks, own numbers, dummies.
        self.of_nobody = [
            Ask(identifier, None)
            for identifier, users in strangers.items()
            if len(users) > 1 and identifier not in self._owners
        ]

    def _given_up(self, identifier: Identifier, truth: Truth, now: float) -> bool:
        person = self._people[truth[1]]
        gave = identifier.kind == "phone" and len(person.phones) > 1 and identifier.value == person.phones[0]
        return gave and identifier.realm == DEFAULT_REALM and now >= person.changes_phone_at

    def difficulties(self, ask: Ask) -> set[str]:
        """Those of the asking person, and what went wrong in events that showed this identifier."""
        return set() if ask.asking is None else self._people[ask.asking[1]].difficulties | self._mishaps[ask]

    def judge(self, exposure: Exposure, ask: Ask, shown: Iterable[ShownTrait] | None) -> None:
        """Count one answer; None is one that showed no context."""
        exposure.lookups += 1
        if shown is None:
            return
        exposure.answered += 1
        sorts = {self._sort(ask, trait): trait for trait in shown if self._is_foreign(ask, trait)}
        if not sorts:
            return
        sort = next(each for each in ("stranger", "close", "planted") if each in sorts)
        setattr(exposure, sort, getattr(exposure, sort) + 1)
        if sort == "stranger" and len(exposure.examples) < _EXAMPLES_MAX:
            trait = sorts[sort]
            teller = self._events[trait.event]
            asked = f"{ask.identifier.kind}:{ask.identifier.value} of {ask.asking}"
            told = f"{teller.truth} in {trait.event} {'/'.join(teller.mishaps)}"
            exposure.examples.append(f"{asked} shows {trait.name}={trait.value!r}, told by {told}")

    def _is_foreign(self, ask: Ask, trait: ShownTrait) -> bool:
        told = self._events[trait.event]
        if ask.asking is None:
            return True
        if told.truth == ask.asking:
            return False
        return trait.value not in self._truths[ask.asking[1]].get(trait.name, ())

    def _sort(self, ask: Ask, trait: ShownTrait) -> str:
        if ask.asking is None:
            return "stranger"
        told = self._events[trait.event]
        if told.target in told.foreign and ask.asking in self._owners.get(told.target, ()):
            return "planted"
        return "stranger" if self._has[told.truth].isdisjoint(self._has[ask.asking]) else "close"


class Exposures(dict[str, Exposure]):
    """How lookups ended: `all` of them, and by the difficulties of whoever asks."""

    def judge(self, asking: Asking, ask: Ask, shown: list[ShownTrait] | None) -> None:
        """Count one answer under each of its headings."""
        for heading in ("all", *sorted(asking.difficulties(ask))):
            asking.judge(self.setdefault(heading, Exposure()), ask, shown)
