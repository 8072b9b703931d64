"""Scores of an assignment of events to customers, against who did each.

Pairwise and B-cubed precision, recall and F1, and the events that are in a wrong person's customer. An event that is
in nobody's customer stands alone: that costs recall and nothing else.

The B-cubed precision of an event is the share of its customer's events that its own person did, itself included; its
recall is the share of its person's events that its customer has. Both are averaged over events. A customer is that
person's who did most of its events, of several the one whose event came first; the events of all others in it are
wrong.
"""

from collections import Counter, defaultdict
from collections.abc import Hashable, Iterable, Mapping
from dataclasses import asdict, dataclass
from itertools import count
from typing import Any, Generic, TypeVar

Event = TypeVar("Event", bound=Hashable)


@dataclass(frozen=True, slots=True)
class Scores:
    """Of all events, or of some of them among all."""

    events: int
    #: Share of events in a customer that is mostly somebody else.
    wrong: float
    pair_precision: float
    pair_recall: float
    precision: float
    recall: float

    @property
    def f1(self) -> float:
        """Of B-cubed."""
        return _harmonic(self.precision, self.recall)

    @property
    def pair_f1(self) -> float:
        """Of pairs."""
        return _harmonic(self.pair_precision, self.pair_recall)

    def to_json(self) -> dict[str, Any]:
        """All of it as JSON values."""
        return asdict(self) | {"f1": self.f1, "pair_f1": self.pair_f1}


def _harmonic(one: float, other: float) -> float:
    return 2 * one * other / (one + other) if one + other else 0.0


class Judge(Generic[Event]):
    """Holds one assignment against the truth, for all events or for some.

    Args:
        truth: Who did each event.
        assigned: The customer of each event; None, or no entry, where it is nobody's.
    """

    def __init__(self, truth: Mapping[Event, Hashable], assigned: Mapping[Event, Hashable | None]) -> None:
        alone = count()
        self._truth = truth
        self._customer: dict[Event, Hashable] = {}
        for event in truth:
            customer = assigned.get(event)
            self._customer[event] = ("alone", next(alone)) if customer is None else ("customer", customer)
        self._persons = Counter(truth.values())
        self._customers = Counter(self._customer.values())
        self._both = Counter((self._customer[event], person) for event, person in truth.items())
        self._most: defaultdict[Hashable, int] = defaultdict(int)
        self._owner: dict[Hashable, Hashable] = {}
        for (customer, person), events in self._both.items():
            if events > self._most[customer]:
                self._most[customer], self._owner[customer] = events, person

    def scores(self, events: Iterable[Event] | None = None) -> Scores:
        """The scores of these events among all; of all by default."""
        wrong = pairs = pairs_found = pairs_true = number = 0
        precision = recall = 0.0
        for event in self._truth if events is None else events:
            person, customer = self._truth[event], self._customer[event]
            both, found, true = self._both[customer, person], self._customers[customer], self._persons[person]
            number += 1
            wrong += self._owner[customer] != person
            pairs, pairs_found, pairs_true = pairs + both - 1, pairs_found + found - 1, pairs_true + true - 1
            precision += both / found
            recall += both / true
        if not number:
            return Scores(0, 0.0, 1.0, 1.0, 1.0, 1.0)
        return Scores(
            events=number,
            wrong=wrong / number,
            pair_precision=pairs / pairs_found if pairs_found else 1.0,
            pair_recall=pairs / pairs_true if pairs_true else 1.0,
            precision=precision / number,
            recall=recall / number,
        )

    @property
    def merged_share(self) -> float:
        """Of customers with two events or more, the share in which several people's events are."""
        people: Counter[Hashable] = Counter(customer for customer, _ in self._both)
        several = [customer for customer, events in self._customers.items() if events > 1]
        return sum(people[customer] > 1 for customer in several) / len(several) if several else 0.0
