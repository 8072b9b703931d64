"""What the peers written in Python do with one event: the job's decode, dedupe, fold and document.

Both peers share it, as what differs between them is the engine around it. It needs msgspec alone, which is the fastest
JSON there is for Python, and it saves work where the job allows: an event's data and trait values are copied as they
came, an interaction that is shown as recent is encoded once, and a state is one MessagePack array without names.

Times are kept without the Z that ends them: so they sort as text, whole seconds before their fractions.
"""

import hashlib
from typing import Final

import msgspec
from msgspec import Raw, Struct

#: How many of the newest interactions a document shows.
RECENT_MAX: Final = 10
# 2^64 names: two events of one customer never share one by chance.
_NAME_SIZE_BYTES: Final = 8
# How many characters of an RFC 3339 time tell the day.
_DAY_LENGTH: Final = 10


class Event(Struct, gc=False):
    """An event as it arrives."""

    id: str
    source: str
    type: str
    time: str
    channel: str
    data: Raw
    direction: str | None = None
    summary: str | None = None
    traits: dict[str, Raw] | None = None


class _Interaction(Struct, gc=False, omit_defaults=True):
    id: str
    source: str
    type: str
    time: str
    channel: str
    customer: str
    data: Raw
    summary: str | None = None
    direction: str | None = None


class _Shown(Struct, gc=False, omit_defaults=True):
    id: str
    source: str
    type: str
    time: str
    channel: str
    summary: str | None = None
    direction: str | None = None


class Tally(Struct, gc=False, array_like=True):
    """How many interactions, and the times of the first and the last."""

    interactions: int
    first: str
    last: str

    def add(self, time: str) -> None:
        """One more, at a time."""
        self.interactions += 1
        if time > self.last:
            self.last = time
        elif time < self.first:
            self.first = time


class Trait(Struct, gc=False, array_like=True):
    """The newest value of a trait, as JSON."""

    time: str
    source: str
    event: str
    value: bytes


class Touch(Struct, gc=False, array_like=True):
    """The newest interaction in one direction."""

    time: str
    source: str
    event: str
    channel: str
    summary: str


class Recent(Struct, gc=False, array_like=True):
    """One of the newest interactions: what orders it, and its JSON."""

    time: str
    source: str
    event: str
    shown: bytes


class Customer(Struct, gc=False, array_like=True):
    """The state of one customer: one value in the engine's store."""

    #: The hashes of the events that were folded, side by side.
    seen: bytes = b""
    total: Tally | None = None
    traits: dict[str, Trait] = {}
    channels: dict[str, Tally] = {}
    types: dict[str, Tally] = {}
    days: dict[str, dict[str, int]] = {}
    touches: dict[str, Touch] = {}
    #: Newest first.
    recent: list[Recent] = []

    def fold(self, event: Event, customer: str) -> bytes | None:
        """Fold an event in, unless it is a copy of one that was.

        Returns:
            The interaction as JSON, None for a copy.
        """
        name = _name_of(event)
        if _holds(self.seen, name):
            return None
        self.seen += name
        time, source, channel = event.time[:-1], event.source, event.channel
        if self.total is None:
            self.total = Tally(1, time, time)
        else:
            self.total.add(time)
        _count(self.channels, channel, time)
        _count(self.types, event.type, time)
        day = self.days.setdefault(time[:_DAY_LENGTH], {})
        day[channel] = day.get(channel, 0) + 1
        if event.traits:
            for trait, value in event.traits.items():
                held = self.traits.get(trait)
                if held is None or (time, source, event.id) > (held.time, held.source, held.event):
                    self.traits[trait] = Trait(time, source, event.id, bytes(value))
        if event.direction:
            touch = self.touches.get(event.direction)
            if touch is None or (time, source, event.id) > (touch.time, touch.source, touch.event):
                self.touches[event.direction] = Touch(time, source, event.id, channel, event.summary or "")
        self._show(event, time)
        return _JSON.encode(
            _Interaction(
                event.id, source, event.type, event.time, channel, customer, event.data, event.summary, event.direction
            )
        )

    def _show(self, event: Event, time: str) -> None:
        recent, place = self.recent, 0
        for other in recent:
            if time > other.time or (time, event.source, event.id) > (other.time, other.source, other.event):
                break
            place += 1
        if place == RECENT_MAX:
            return
        shown = _Shown(event.id, event.source, event.type, event.time, event.channel, event.summary, event.direction)
        recent.insert(place, Recent(time, event.source, event.id, _JSON.encode(shown)))
        del recent[RECENT_MAX:]

    def document(self, customer: str) -> bytes:
        """The document of a customer with at least one event, as JSON."""
        if self.total is None:
            raise ValueError(f"customer {customer} has no event yet, so there is no document of it")
        touches = self.touches
        return _JSON.encode(
            _Document(
                customer,
                {
                    name: _ShownTrait(Raw(trait.value), trait.time + "Z", trait.source, trait.event)
                    for name, trait in self.traits.items()
                },
                {name: _shown_tally(tally) for name, tally in self.channels.items()},
                {name: _shown_tally(tally) for name, tally in self.types.items()},
                self.days,
                _Last(_shown_touch(touches.get("in")), _shown_touch(touches.get("out"))),
                _Interactions(
                    self.total.interactions,
                    self.total.first + "Z",
                    self.total.last + "Z",
                    [Raw(one.shown) for one in self.recent],
                ),
            )
        )


class _ShownTrait(Struct, gc=False):
    value: Raw
    time: str
    source: str
    event: str


class _ShownTally(Struct, gc=False):
    interactions: int
    first: str
    last: str


class _ShownTouch(Struct, gc=False):
    time: str
    channel: str
    summary: str


class _Last(Struct, gc=False, rename={"inward": "in", "outward": "out"}):
    inward: _ShownTouch | None
    outward: _ShownTouch | None


class _Interactions(Struct, gc=False):
    count: int
    first: str
    last: str
    recent: list[Raw]


class _Document(Struct, gc=False):
    customer: str
    traits: dict[str, _ShownTrait]
    channels: dict[str, _ShownTally]
    types: dict[str, _ShownTally]
    days: dict[str, dict[str, int]]
    last: _Last
    interactions: _Interactions


_JSON: Final = msgspec.json.Encoder()
_EVENTS: Final = msgspec.json.Decoder(Event)
_STATE: Final = msgspec.msgpack.Encoder()
_STATES: Final = msgspec.msgpack.Decoder(Customer)

#: An event from its JSON.
decode_event = _EVENTS.decode
#: A customer's state as bytes, and back.
encode_customer = _STATE.encode
decode_customer = _STATES.decode


def _name_of(event: Event) -> bytes:
    # The length of the source keeps (`ab`, `c`) and (`a`, `bc`) apart.
    name = f"{len(event.source)}:{event.source}{event.id}".encode()
    return hashlib.blake2b(name, digest_size=_NAME_SIZE_BYTES).digest()


def _holds(seen: bytes, name: bytes) -> bool:
    place = seen.find(name)
    while place % _NAME_SIZE_BYTES and place >= 0:
        # Found across two names.
        place = seen.find(name, place + 1)
    return place >= 0


def _count(tallies: dict[str, Tally], name: str, time: str) -> None:
    tally = tallies.get(name)
    if tally is None:
        tallies[name] = Tally(1, time, time)
    else:
        tally.add(time)


def _shown_tally(tally: Tally) -> _ShownTally:
    return _ShownTally(tally.interactions, tally.first + "Z", tally.last + "Z")


def _shown_touch(touch: Touch | None) -> _ShownTouch | None:
    return None if touch is None else _ShownTouch(touch.time + "Z", touch.channel, touch.summary)
