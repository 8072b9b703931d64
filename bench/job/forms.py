"""An event as the bytes that an engine reads: the job's JSON for peers, `RoutedEvent` for the context stage alone."""

import hashlib
from typing import Any, Final, NamedTuple

import msgspec

from bench.job.events import START_US, Event
from schemas.identifiers import Identifier
from schemas.identity_policy import Grade
from schemas.keys import Keyring
from schemas.messages import RoutedEvent
from schemas.messages import encode as encode_message
from schemas.strict_json import canonical_json
from schemas.times import MICROSECONDS_PER_DAY, format_time

#: The installation's secret in benchmarks.
SECRET: Final = "a secret for benchmarks only"  # noqa: S105 - it guards made-up people.
#: A customer of the job is an e-mail address; its key is the fragment id that intake would route it to.
KIND: Final = "email"
_CONTENT_SIZE_BYTES: Final = 4
# Intake stamps what it routes with the broker's time of the raw record, which many records of a batch share.
_RECEIVED_US: Final = START_US + 30 * MICROSECONDS_PER_DAY
_EVENTS_PER_MILLISECOND: Final = 40

_ENCODER: Final = msgspec.json.Encoder()


class Keyed(NamedTuple):
    """A record for a topic."""

    key: bytes
    value: bytes


class _Customer(NamedTuple):
    key: str
    sealed: bytes


class Forms:
    """Encodes events; it remembers the ids of the customers that it met."""

    def __init__(self, keyring: Keyring | None = None) -> None:
        self._keyring = keyring or Keyring(SECRET.encode())
        self._customers: dict[int, _Customer] = {}

    def customer(self, number: int) -> str:
        """The id of a customer: 32 hexadecimal digits."""
        return self._customer(number).key

    def job(self, event: Event) -> Keyed:
        """As peers read it."""
        key = self._customer(event.customer).key
        return Keyed(key.encode(), _ENCODER.encode(job_fields(event)))

    def routed(self, event: Event, number: int) -> Keyed:
        """As the context agent reads it from `routed`, once intake is done with it; `number` is its place there."""
        customer = self._customer(event.customer)
        value = _ENCODER.encode(job_fields(event))
        message = RoutedEvent(
            target=customer.key,
            kind=KIND,
            sealed=customer.sealed,
            source=event.source,
            id=event.id,
            type=event.type,
            time=event.time_us,
            channel=event.channel,
            rank=0,
            grade=int(Grade.CLAIMED),
            content=hashlib.blake2b(value, digest_size=_CONTENT_SIZE_BYTES).digest(),
            assigned=False,
            direction=event.direction,
            summary=event.summary,
            session="",
            traits={name: canonical_json(trait) for name, trait in event.traits.items()},
            permissions={},
            refs=(),
            groups={},
            data=_ENCODER.encode(event.data),
            received=_RECEIVED_US + number // _EVENTS_PER_MILLISECOND * 1_000,
            origin=(0, number),
        )
        return Keyed(customer.key.encode(), encode_message(message))

    def _customer(self, number: int) -> _Customer:
        known = self._customers.get(number)
        if known is None:
            identifier = Identifier(KIND, f"customer-{number}@example.com")
            key = self._keyring.fragment_id(identifier)
            known = self._customers[number] = _Customer(key, self._keyring.seal(identifier, key))
        return known


def job_fields(event: Event) -> dict[str, Any]:
    """The job's JSON object of an event."""
    fields: dict[str, Any] = {
        "id": event.id,
        "source": event.source,
        "type": event.type,
        "time": format_time(event.time_us),
        "channel": event.channel,
    }
    if event.direction:
        fields["direction"] = event.direction
    if event.summary:
        fields["summary"] = event.summary
    if event.traits:
        fields["traits"] = event.traits
    fields["data"] = event.data
    return fields
