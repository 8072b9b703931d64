"""Very many customers at once: contexts as the workers publish them, straight onto the topic that the lookup follows.

Each is a customer of one e-mail that nobody linked to another, so it is found by its id and by the e-mail alike. Sent
through collect and workers, a million would take minutes that say nothing of the lookup.
"""

from typing import Final

import msgspec
from confluent_kafka import Producer

from bench.generator import START_US
from schemas.document import (
    ContextDocument,
    Identity,
    Interactions,
    LastTouches,
    RecentInteraction,
    ShownIdentifier,
    Tally,
    Touch,
    Trait,
    encode_document,
)
from schemas.errors import DeliveryFailed
from schemas.identifiers import Identifier
from schemas.keys import Keyring
from schemas.times import format_time
from schemas.topics import Catalogue, Topic, partition_of

_FLUSH_SECONDS: Final = 120.0
_RECENT: Final = 10
_HOUR_US: Final = 3_600_000_000
# Stands in the model document for what differs from customer to customer.
_CUSTOMER: Final = b"0" * 32
_ADDRESS: Final = b"address-to-be@example.com"
_KIND: Final = "email"


def address_of(number: int) -> str:
    """The e-mail of a customer."""
    return f"m{number}@example.com"


def publish_contexts(bootstrap_servers: str, catalogue: Catalogue, keyring: Keyring, count: int) -> None:
    """Publish so many customers.

    Raises:
        DeliveryFailed: the broker did not take all of them.
    """
    topic, partitions = catalogue.name(Topic.CONTEXT), catalogue.partitions_of(Topic.CONTEXT)
    refused: list[str] = []
    producer = Producer(
        {
            "bootstrap.servers": bootstrap_servers,
            "log_level": 2,
            "enable.idempotence": True,
            "linger.ms": 50,
            "batch.size": 1024 * 1024,
            "compression.type": "lz4",
            "on_delivery": lambda error, _message: refused.append(error.str()) if error is not None else None,
        }
    )
    model = model_document()
    for number in range(count):
        address = address_of(number)
        customer = keyring.fragment_id(Identifier(_KIND, address)).encode()
        value = model.replace(_CUSTOMER, customer).replace(_ADDRESS, address.encode())
        while True:
            try:
                producer.produce(topic, value, customer, partition_of(customer, partitions))
                break
            except BufferError:
                producer.poll(0.05)
    left = producer.flush(_FLUSH_SECONDS)
    if left or refused:
        raise DeliveryFailed(f"{topic}: {left} of {count} contexts have no answer, {len(refused)} were refused")


def model_document() -> bytes:
    """A usual customer: an e-mail, some traits, contacts on three channels."""
    times = [format_time(START_US - hours * _HOUR_US) for hours in range(_RECENT)]
    recent = [
        RecentInteraction(f"e-{number}", "shop-web", "page.viewed", when, "web", "Looked at a tent for three", "in")
        for number, when in enumerate(times)
    ]
    tally = Tally(40, times[-1], times[0])
    traits = {
        "first_name": '"Ann"',
        "last_name": '"Jansen"',
        "city": '"Utrecht"',
        "segment": '"gold"',
        "language": '"nl"',
    }
    return encode_document(
        ContextDocument(
            customer=_CUSTOMER.decode(),
            version=7,
            settling=False,
            realm="default",
            identity=Identity("recognised", _KIND),
            identifiers=[ShownIdentifier(_KIND, _ADDRESS.decode(), "claimed", "home", times[-1], times[0], "current")],
            traits={
                name: Trait(msgspec.Raw(value.encode()), times[0], "shop-web", "e-1") for name, value in traits.items()
            },
            permissions={},
            channels=dict.fromkeys(("chat", "email", "web"), tally),
            types=dict.fromkeys(("page.viewed", "order.completed"), tally),
            days={"2025-01-05": {"web": 12, "chat": 2}, "2025-01-06": {"web": 26}},
            refs=[],
            groups={},
            last=LastTouches(Touch(times[0], "web", "Looked at a tent for three"), None),
            interactions=Interactions(
                40, times[-1], times[0], [msgspec.Raw(msgspec.json.encode(one)) for one in recent]
            ),
        )
    )
