"""Orders about who is who, given to a running system: straight into its log, as the admin service writes them."""

import itertools
import time

from confluent_kafka import Producer

from schemas.identifiers import Identifier
from schemas.keys import Keyring
from schemas.messages import IdentityMessage, Order, SealedIdentifier, Undo, encode
from schemas.orders import OPERATOR_SOURCE, Authority, Verb
from schemas.topics import Catalogue, Topic
from tests.end_to_end.public_topics import client
from tests.running_system import SECRET, RunningSystem

_FLUSH_S = 30.0
RING = Keyring(SECRET.encode())
_NUMBERS = itertools.count(1)


def fragment_of(kind: str, value: str) -> str:
    """The id of an identifier's fragment in every system of these tests."""
    return RING.fragment_id(Identifier(kind, value))


def order(verb: Verb, *named: tuple[str, str], withdrawn_source: str = "", name: str = "") -> Order:
    """An operator's order, given now."""
    identifiers = tuple(
        SealedIdentifier(fragment_of(*one), one[0], RING.seal(Identifier(*one), fragment_of(*one))) for one in named
    )
    return Order(
        OPERATOR_SOURCE, name or f"test-{next(_NUMBERS)}", time.time_ns() // 1000, Authority.OPERATOR, verb,
        identifiers, withdrawn_source, author="ann", reason="a test",
    )  # fmt: skip


def undo_of(given: Order) -> Undo:
    """What takes an order back."""
    return Undo(f"undo-{given.id}", time.time_ns() // 1000, given.id, "ann", "a test")


def give(system: RunningSystem, *messages: IdentityMessage) -> None:
    """Put messages into the system's log, in this order."""
    producer = Producer(client(system) | {"enable.idempotence": True})
    for message in messages:
        producer.produce(Catalogue(system.prefix).name(Topic.EVIDENCE), value=encode(message))
    assert producer.flush(_FLUSH_S) == 0
