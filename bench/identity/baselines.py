"""Other ways of saying who is who, and the best that could be said: what the scores are held against."""

from collections import Counter, defaultdict
from collections.abc import Hashable, Iterable, Mapping
from typing import Generic, TypeVar

from bench.identity.exposure import ShownTrait
from bench.identity.records import EventKey, Record, Truth, pairs
from schemas.identifiers import Identifier

Item = TypeVar("Item", bound=Hashable)
_UNIQUE_KINDS = frozenset({"crm", "account"})


class UnionFind(Generic[Item]):
    """Sets that only grow together."""

    def __init__(self) -> None:
        self._parents: dict[Item, Item] = {}

    def find(self, item: Item) -> Item:
        """The one that stands for the item's set."""
        self._parents.setdefault(item, item)
        root = item
        while self._parents[root] != root:
            root = self._parents[root]
        while self._parents[item] != root:
            self._parents[item], item = root, self._parents[item]
        return root

    def unite(self, one: Item, other: Item) -> None:
        """Put both into one set."""
        self._parents[self.find(other)] = self.find(one)


class Way:
    """A way of linking: whose each event is, and whose each identifier is."""

    def __init__(self, records: Iterable[Record], events: Mapping[EventKey, Hashable | None]) -> None:
        self.events = events
        self._records = {record.key: record for record in records}
        self._traits: dict[Hashable, dict[str, tuple[tuple[int, int, EventKey], ShownTrait]]] = defaultdict(dict)
        named: defaultdict[Identifier, Counter[Hashable]] = defaultdict(Counter)
        for key, customer in events.items():
            record = self._records[key]
            if customer is None:
                continue
            for identifier in {*record.evidence, *((record.target,) if record.target else ())}:
                named[identifier][customer] += 1
            for name, value in record.traits.items():
                newer = ((record.time_us, record.rank, key), ShownTrait(name, value, key))
                held = self._traits[customer].get(name)
                if held is None or held[0] < newer[0]:
                    self._traits[customer][name] = newer
        #: An identifier leads to the customer in which it is most.
        self._leads = {identifier: counts.most_common(1)[0][0] for identifier, counts in named.items()}

    def show(self, identifier: Identifier) -> list[ShownTrait] | None:
        """The newest value of each trait of the customer that the identifier leads to; None where there is none."""
        customer = self._leads.get(identifier)
        if customer is None:
            return None
        return [trait for _, trait in self._traits.get(customer, {}).values()]


def union_find(records: list[Record]) -> Way:
    """Every pair of identifiers of an event joins, and so does every merge that a system of record tells."""
    sets: UnionFind[Identifier] = UnionFind()
    for record in records:
        for one, other in (*pairs(record.evidence), *pairs(record.merged)):
            sets.unite(one, other)
    return Way(records, {record.key: sets.find(record.target) if record.target else None for record in records})


def unique_ids(records: list[Record]) -> Way:
    """Only customer numbers and logins count; what shows neither is a customer by its strongest identifier."""
    sets: UnionFind[Identifier] = UnionFind()
    for record in records:
        unique = [identifier for identifier in record.evidence if identifier.kind in _UNIQUE_KINDS]
        for one, other in (*pairs(unique), *pairs(record.merged)):
            sets.unite(one, other)
    return Way(records, {record.key: sets.find(record.target) if record.target else None for record in records})


def ceiling(records: list[Record], *, careful: bool = False) -> Way:
    """The best that any way can do which folds each event under its strongest identifier and goes by identifiers.

    It knows the truth. An identifier's events go, all together, to the person who did most of them; a person's
    identifiers are united where a chain of the person's own events shows them together (or a system of record says so):
    what nothing links nobody can know to belong together.

    Args:
        records: All events.
        careful: Identifiers under which several people acted are nobody's, so that no event is wrong.
    """
    acted: defaultdict[Identifier, Counter[Truth]] = defaultdict(Counter)
    for record in records:
        if record.target is not None:
            acted[record.target][record.truth] += 1
    persons = {identifier: counts.most_common(1)[0][0] for identifier, counts in acted.items()}
    mixed = {identifier for identifier, counts in acted.items() if len(counts) > 1}
    sets: UnionFind[tuple[Truth, Identifier]] = UnionFind()
    for record in records:
        # What is not the person's own shows nothing of the person, though a chain may run over it.
        for one, other in (*pairs(record.evidence), *pairs(record.merged)):
            sets.unite((record.truth, one), (record.truth, other))

    def customer(record: Record) -> Hashable | None:
        if record.target is None or (careful and record.target in mixed):
            return None
        return sets.find((persons[record.target], record.target))

    return Way(records, {record.key: customer(record) for record in records})
