"""The pipeline's population: the job's customers as people with one to three identifiers, and their CloudEvents.

Of ten customers four have an e-mail address alone, three an address and a cookie, three an account besides. What an
event carries of them is drawn anew each time: of those with a cookie a fifth of all events have nothing but the cookie
(a visitor who has not logged in, who tells no traits), half have the strongest identifier and the cookie, the rest the
strongest with the address. All sources are registered with the grade `login`. After a third of the job's events the
median customer has five, and most links between identifiers are known.
"""

from pathlib import Path
from typing import Any, Final, NamedTuple

import msgspec

from bench.job.events import Event, Plan, event
from bench.job.forms import SECRET, job_fields
from schemas.identifiers import Identifier
from schemas.keys import Keyring
from schemas.times import format_time

#: The registrations that the installation under test runs with.
SOURCES_FILE: Final = Path(__file__).with_name("sources.yaml")
#: The channels of these events.
CHANNELS: Final = "web,app,email,voice,billing"
#: In the order of their strength.
_KINDS: Final = ("account", "email", "cookie")
_ENCODER: Final = msgspec.json.Encoder()

Pair = tuple[str, str]


class Happening(NamedTuple):
    """An event of the job with the identifiers that it carries."""

    event: Event
    identifiers: dict[str, str]


def happening(plan: Plan, number: int) -> Happening:
    """The event of that number."""
    whole = event(plan, number)
    identifiers = _identifiers(whole.customer, whole.chance)
    return Happening(whole if "cookie" not in identifiers or len(identifiers) > 1 else _untold(whole), identifiers)


def _untold(whole: Event) -> Event:
    return whole._replace(traits={})


def _identifiers(customer: int, chance: int) -> dict[str, str]:
    email, cookie = f"customer-{customer}@example.com", f"c-{customer}"
    sort, draw = customer % 10, (chance >> 20) % 10
    if sort < 4:
        return {"email": email}
    strongest = {"account": f"a-{customer}"} if sort >= 7 else {"email": email}
    if draw < 2:
        return {"cookie": cookie}
    return strongest | ({"cookie": cookie} if draw < 7 else {"email": email})


def raw(one: Happening) -> bytes:
    """The CloudEvent, as a channel sends it."""
    whole = one.event
    data: dict[str, Any] = {"identifiers": one.identifiers}
    if whole.traits:
        data["traits"] = whole.traits
    if whole.summary:
        data["summary"] = whole.summary
    if whole.direction:
        data["direction"] = whole.direction
    return _ENCODER.encode(
        {
            "specversion": "1.0",
            "id": whole.id,
            "source": whole.source,
            "type": whole.type,
            "time": format_time(whole.time_us),
            "channel": whole.channel,
            "data": data | whole.data,
        }
    )


def shown_fields(one: Happening) -> dict[str, Any]:
    """The job's JSON object of the event: its data is all that the channel sent as such."""
    fields = job_fields(one.event)
    fields["data"] = msgspec.json.decode(raw(one))["data"]
    return fields


class Households:
    """Which identifiers turn out to be one customer's: those that events showed together, directly or by others."""

    def __init__(self, keyring: Keyring | None = None) -> None:
        self._keyring = keyring or Keyring(SECRET.encode())
        self._parents: dict[Pair, Pair] = {}

    def show(self, identifiers: dict[str, str]) -> None:
        """An event shows these together."""
        first, *others = identifiers.items()
        root = self._root(first)
        for other in others:
            self._parents[self._root(other)] = root

    def home(self, identifiers: dict[str, str]) -> str:
        """The customer's id, once all events were shown: the fragment of its strongest identifier."""
        root = self._root(next(iter(identifiers.items())))
        kind, value = self._strongest[root]
        return self._keyring.fragment_id(Identifier(kind, value))

    def settle(self) -> None:
        """All events were shown."""
        self._strongest: dict[Pair, Pair] = {}
        for pair in list(self._parents):
            root = self._root(pair)
            known = self._strongest.get(root)
            if known is None or _KINDS.index(pair[0]) < _KINDS.index(known[0]):
                self._strongest[root] = pair

    def _root(self, pair: Pair) -> Pair:
        parent = self._parents.setdefault(pair, pair)
        if parent == pair:
            return pair
        root = self._parents[pair] = self._root(parent)
        return root
