"""Internal messages, msgpack arrays through msgspec: what `routed` and `identity.evidence` carry.

A message's first field is its tag, then `target`, the fragment whose partition it is for; fields are only ever added
at the end. Times are microseconds since 1970.
"""

from typing import Annotated, Any

import msgspec

from schemas.identity_policy import Grade
from schemas.times import TIME_MAX_US

EventTime = Annotated[int, msgspec.Meta(ge=0, le=TIME_MAX_US)]
GradeNumber = Annotated[int, msgspec.Meta(ge=int(min(Grade)), le=int(max(Grade)))]


class Ref(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """What an event is about: an order, a dossier, a ticket."""

    kind: str
    id: str
    status: str = ""


class RoutedEvent(msgspec.Struct, frozen=True, array_like=True, tag_field="tag", tag="event", gc=False):
    """A cleaned event on its way to the fragment of its strongest identifier."""

    target: str
    kind: str
    #: The routing identifier, sealed for `target`.
    sealed: bytes
    source: str
    id: str
    type: str
    time: EventTime
    channel: str
    rank: int
    grade: GradeNumber
    #: First bytes of the hash of the event as its producer sent it.
    content: bytes
    #: The event's time was assigned by collect, not by its producer.
    assigned: bool
    #: "in", "out" or "".
    direction: str
    summary: str
    session: str
    #: Trait name to its value in canonical JSON; `null` withdraws.
    traits: dict[str, bytes]
    #: channel -> purpose -> yes or no.
    permissions: dict[str, dict[str, bool]]
    refs: tuple[Ref, ...]
    groups: dict[str, tuple[str, ...]]
    #: The whole of the event's data, as JSON.
    data: bytes
    #: When the broker took the raw record; 0 where a version that did not say it routed the event.
    received: int = 0
    #: What enrichers found out, as a JSON object; empty where they found nothing.
    enriched: bytes = b""
    #: Partition and offset of its raw record; None where a version that did not say it routed the event.
    origin: tuple[int, int] | None = None


class Own(msgspec.Struct, frozen=True, array_like=True, tag_field="tag", tag="own", gc=False):
    """Identity to a fragment: who owns you, in which state, as of which epoch; and when you were first and last seen.

    Sent again with the same epoch when `first` or `last` moved; the fragment keeps the least and the greatest.
    """

    target: str
    kind: str
    sealed: bytes
    owner: str
    #: "home", "joined", "attached" or "shared".
    state: str
    #: How well it is linked to its home; of a home itself, the best grade that named it.
    grade: int
    epoch: int
    #: None while only orders have named it.
    first: int | None
    #: The start of the newest 30-day bucket of sight.
    last: int | None
    #: Replaced by another one, by an order of a system of record: shown with status `former`.
    former: bool = False


class Add(msgspec.Struct, frozen=True, array_like=True, tag_field="tag", tag="add", gc=False):
    """Identity to an owner: this fragment is yours, as of its epoch."""

    target: str
    fragment: str
    kind: str
    sealed: bytes
    #: "home", "joined", "attached".
    role: str
    grade: int
    epoch: int


class Drop(msgspec.Struct, frozen=True, array_like=True, tag_field="tag", tag="drop", gc=False):
    """Identity to a former owner: this fragment is no longer yours, as of its epoch."""

    target: str
    fragment: str
    epoch: int


class Snapshot(msgspec.Struct, frozen=True, array_like=True, tag_field="tag", tag="snapshot", gc=False):
    """A fragment to its owner: what it holds, as of its epoch and its applied position (era, offset)."""

    target: str
    fragment: str
    epoch: int
    era: int
    offset: int
    #: The encoded `state.fragment.Fragment`.
    content: bytes
    #: First and last sight by identity, as `Own` told them; None before it did.
    first: int | None = None
    last: int | None = None
    #: Whether it was replaced by another one, as the newest `Own` told.
    former: bool = False


RoutedMessage = RoutedEvent | Own | Add | Drop | Snapshot


class SealedIdentifier(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """An identifier as it travels: its fragment id, its kind and itself, sealed."""

    fragment: str
    kind: str
    sealed: bytes


class Evidence(msgspec.Struct, frozen=True, array_like=True, tag_field="tag", tag="evidence", gc=False):
    """Pairs of identifiers that one event showed together; `pairs` are places in `identifiers`."""

    source: str
    id: str
    time: int
    grade: int
    identifiers: tuple[SealedIdentifier, ...]
    pairs: tuple[tuple[int, int], ...]


class Order(msgspec.Struct, frozen=True, array_like=True, tag_field="tag", tag="order", gc=False):
    """An order about who is who, from an operator or from a record event. (source, id) and its identifiers name it.

    `identifiers` are two (a pair), one (`split` of an identifier) or none (`split` of a source).
    """

    source: str
    id: str
    time: int
    #: `schemas.orders.Authority`: RECORD or OPERATOR.
    authority: int
    #: `schemas.orders.Verb`.
    verb: str
    identifiers: tuple[SealedIdentifier, ...]
    #: The source that is split off, where there are no identifiers.
    withdrawn_source: str = ""
    #: Which of the pair the other has replaced: its fragment id, or empty.
    former: str = ""
    author: str = ""
    reason: str = ""


class Undo(msgspec.Struct, frozen=True, array_like=True, tag_field="tag", tag="undo", gc=False):
    """An operator takes an operator's order back: from now on it is as if it had never been given."""

    id: str
    time: int
    #: The id of the order that is undone.
    order: str
    author: str = ""
    reason: str = ""


class PolicyChange(msgspec.Struct, frozen=True, array_like=True, tag_field="tag", tag="policy", gc=False):
    """From here on another policy holds; what was decided before is decided again, bit by bit (`Repair`)."""

    id: str
    time: int
    #: The whole policy, as JSON of `schemas.identity_policy.Policy`.
    policy: bytes
    author: str = ""
    reason: str = ""


class Repair(msgspec.Struct, frozen=True, array_like=True, tag_field="tag", tag="repair", gc=False):
    """Identity to itself: go on deciding again at the cursor. One whose cursor is not the stored one says nothing.

    It travels in the log that orders and evidence travel in, written in the transaction of the step before it, so that
    the same log gives the same rows, new evidence comes between the steps, and a crash goes on where it was.
    """

    #: The id of the order or policy that began it.
    run: str
    #: The fragment id after which it goes on; empty at the beginning.
    cursor: str


IdentityMessage = Evidence | Order | Undo | PolicyChange | Repair


class _Addressed(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """How every message to a fragment begins."""

    tag: str
    target: str


_ENCODER = msgspec.msgpack.Encoder(order="deterministic")
_ADDRESSED: msgspec.msgpack.Decoder[_Addressed] = msgspec.msgpack.Decoder(_Addressed)
_ROUTED: msgspec.msgpack.Decoder[RoutedMessage] = msgspec.msgpack.Decoder(RoutedEvent | Own | Add | Drop | Snapshot)
_EVIDENCE: msgspec.msgpack.Decoder[Evidence] = msgspec.msgpack.Decoder(Evidence)
_IDENTITY: msgspec.msgpack.Decoder[IdentityMessage] = msgspec.msgpack.Decoder(
    Evidence | Order | Undo | PolicyChange | Repair
)


def encode(message: Any) -> bytes:
    """The bytes of any message of this module; equal messages give equal bytes."""
    encoded: bytes = _ENCODER.encode(message)
    return encoded


def decode_routed(value: bytes) -> RoutedMessage:
    """The message in a record of `routed`; raises one of `strict_json.UNREADABLE`."""
    return _ROUTED.decode(value)


def target_of(value: bytes) -> str:
    """The fragment that a record of `routed` is for, without reading the rest; raises as `decode_routed` does."""
    return _ADDRESSED.decode(value).target


def decode_identity(value: bytes) -> IdentityMessage:
    """The message in a record of `identity.evidence`; raises one of `strict_json.UNREADABLE`."""
    return _IDENTITY.decode(value)


def decode_evidence(value: bytes) -> Evidence:
    """As `decode_identity`, of what is known to be evidence."""
    return _EVIDENCE.decode(value)
