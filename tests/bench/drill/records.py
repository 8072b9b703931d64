"""Records as the public topics hold them, made from the truth; for tests of what judges them."""

import json
from collections.abc import Iterable, Mapping
from typing import Any

from bench.drill.outputs import Outputs
from bench.oracle import Expectation
from schemas.identifiers import Identifier
from schemas.topics import DEFAULT_PREFIX
from streams.bulk import Record

Event = Mapping[str, Any]


def fragment_id(identifier: Identifier) -> str:
    """An id that the identifier can be read from."""
    return f"{identifier.kind}:{identifier.value}"


def record(topic: str, value: Any, *, key: str = "k", offset: int = 0, partition: int = 0) -> Record:
    """One record; a value of None is a tombstone."""
    encoded = None if value is None else json.dumps(value).encode()
    return Record(DEFAULT_PREFIX + topic, partition, offset, 0, key.encode(), encoded)


def interaction(event: Event) -> Record:
    """What an accepted event becomes."""
    return record("interactions", {"source": event["source"], "id": event["id"]})


def contexts(expectation: Expectation) -> dict[str, dict[str, Any]]:
    """The newest contexts if all is right, by customer: the last possible home is the home."""
    found: dict[str, dict[str, Any]] = {}
    for customer in expectation.customers:
        if customer.homes:
            home, expected = list(customer.homes.items())[-1]
            found[home] = {
                "customer": home,
                "version": 1,
                "settling": False,
                **json.loads(json.dumps(expected.document)),
            }
    left = expectation.events - sum(document["interactions"]["count"] for document in found.values())
    for shared in expectation.shared:
        # Which of them has how many the oracle does not say: together they are the rest.
        name = f"{shared.kind}:{shared.value}"
        found[name] = {
            "customer": name,
            "version": 1,
            "settling": False,
            "identity": {"level": "shared", "strongest": shared.kind},
            "identifiers": [],
            "interactions": {"count": left},
        }
        left = 0
    return found


def outputs(events: Iterable[Event], documents: Mapping[str, Mapping[str, Any]]) -> Outputs:
    """The outputs of these events, each once, and these contexts."""
    taken = Outputs(DEFAULT_PREFIX)
    for event in {(event["source"], event["id"]): event for event in events}.values():
        taken.take(interaction(event))
    for name, document in documents.items():
        taken.take(record("context", document, key=name))
    return taken
