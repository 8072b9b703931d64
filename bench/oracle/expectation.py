"""What every lookup must answer: for each identifier the customer and its document, 409 with candidates, or 404."""

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from typing import Any

from bench.oracle.documents import Documents, sights_of
from bench.oracle.fragments import fragment_of
from bench.oracle.kinds import GRADE_LABELS, Identifier
from bench.oracle.orders import PlainOrder, PlainUndo, standing
from bench.oracle.partition import Customer, Partition, links_of, partition
from bench.oracle.reading import PlainEvent, read_events


@dataclass(frozen=True, slots=True)
class ExpectedHome:
    """What holds if this member is the customer's home."""

    level: str
    #: Member (`kind:value`) to its grade.
    grades: dict[str, str]
    #: The context but for `customer`, `version` and `settling`.
    document: dict[str, Any]


@dataclass(frozen=True, slots=True)
class ExpectedCustomer:
    """One customer. The oracle names it by its members, as ids hang on a secret.

    `homes` holds one entry for each member that may be the home: which one is, evidence's place in the log decides.
    It is empty for a customer without events, which has no context.
    """

    members: list[list[str]]
    homes: dict[str, ExpectedHome]


@dataclass(frozen=True, slots=True)
class SharedIdentifier:
    """An identifier of several people: the lookup names some of these customers, by their place in the list."""

    kind: str
    value: str
    candidates: list[int]


@dataclass(frozen=True, slots=True)
class Expectation:
    """The truth about one run."""

    events: int
    customers: list[ExpectedCustomer]
    shared: list[SharedIdentifier]

    def to_json(self) -> dict[str, Any]:
        """The expectation as JSON values; `from_json` reads them back."""
        return asdict(self)

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> "Expectation":
        """The expectation that `to_json` gave."""
        customers = [
            ExpectedCustomer(one["members"], {home: ExpectedHome(**fields) for home, fields in one["homes"].items()})
            for one in values["customers"]
        ]
        return cls(values["events"], customers, [SharedIdentifier(**one) for one in values["shared"]])


def expect(
    events: Iterable[Mapping[str, Any]],
    sources: Mapping[str, Mapping[str, Any]],
    orders: Iterable[PlainOrder | PlainUndo] = (),
) -> Expectation:
    """The expected answers after all these raw events and orders, in whichever order and however often each came.

    Args:
        events: CloudEvents as JSON values; what a system of record orders by them counts.
        sources: the registrations by source, as in `sources.yaml`.
        orders: those of operators, and what took them back.

    Raises:
        ValueError: two events share source and id but differ.
    """
    plain = read_events(events, sources)
    links = links_of(plain)
    # An identifier that an event only mentions, without linking it, leaves no trace unless the event went to it.
    known = {event.identifiers[0] for event in plain}
    holding = standing([*orders, *(order for event in plain for order in event.orders)])
    parts = partition(known, links, holding)
    by_identifier: dict[Identifier, list[PlainEvent]] = {}
    for event in plain:
        by_identifier.setdefault(event.identifiers[0], []).append(event)
    fragments = {one: fragment_of(its_events) for one, its_events in by_identifier.items()}
    documents = Documents(
        fragments, sights_of(links, holding.withdrawn), parts.neighbours, parts.groups, holding.former
    )
    customers = sorted(parts.customers, key=lambda customer: min(customer.members))
    return Expectation(
        events=len(plain),
        customers=[_expected_customer(customer, documents) for customer in customers],
        shared=_shared(parts, customers),
    )


def _expected_customer(customer: Customer, documents: Documents) -> ExpectedCustomer:
    homes = {}
    if documents.events_of(customer.members):
        for home in customer.possible_homes():
            grades = {str(one): GRADE_LABELS[grade] for one, grade in documents.grades(customer, home).items()}
            document = documents.document(customer, home)
            homes[str(home)] = ExpectedHome(documents.level(customer, home), dict(sorted(grades.items())), document)
    return ExpectedCustomer([list(member) for member in sorted(customer.members)], homes)


def _shared(parts: Partition, customers: list[Customer]) -> list[SharedIdentifier]:
    place_of = {member: place for place, customer in enumerate(customers) for member in customer.members}
    return [
        SharedIdentifier(*one, sorted({place_of[other] for other in parts.neighbours[one] if other in place_of}))
        for one in sorted(parts.shared)
    ]
