"""The context document: what downstream reads, on `gt.context` and from the lookup.

Optional fields that hold nothing are left out, but for those that the contract always shows. `via` is the kind of
the attached member that a value comes from; it is absent for the members that the customer rests on.
"""

from typing import Any, Final

import msgspec

#: Left out of the canonical bytes: they tell where and how often a context was published, not what it says.
UNSTABLE_FIELDS: Final = ("customer", "version", "settling")


class Identity(msgspec.Struct, omit_defaults=True, gc=False):
    """How sure it is who this is."""

    #: identified, recognised, anonymous or shared.
    level: str
    #: The kind of the strongest identifier.
    strongest: str


class ShownIdentifier(msgspec.Struct, omit_defaults=True, gc=False):
    """An identifier of the customer; `grade` is that of the weakest link to the home."""

    kind: str
    value: str
    grade: str
    #: home, joined or attached.
    role: str
    first: str | None
    last: str | None
    #: current, or former: another identifier of the customer has replaced it.
    status: str
    namespace: str | None = None


class Trait(msgspec.Struct, omit_defaults=True, gc=False):
    """A fact about the customer and where it comes from."""

    value: msgspec.Raw
    time: str
    source: str
    event: str
    via: str | None = None
    #: For a trusted trait: a newer value of a lower grade, which does not win.
    newer_claim: "Trait | None" = None
    #: For a trusted trait: how well the event knew whom it spoke of.
    grade: str | None = None


class Permission(msgspec.Struct, omit_defaults=True, gc=False):
    """Yes or no to one purpose on one channel."""

    value: bool
    time: str
    source: str
    event: str
    via: str | None = None


class Tally(msgspec.Struct, gc=False):
    """How many interactions, and when the first and the last of them were."""

    interactions: int
    first: str
    last: str


class ShownRef(msgspec.Struct, omit_defaults=True, gc=False):
    """What interactions were about; the newest event about it tells status, type and time."""

    kind: str
    id: str
    type: str
    time: str
    status: str | None = None
    via: str | None = None


class Touch(msgspec.Struct, omit_defaults=True, gc=False):
    """The last contact in one direction."""

    time: str
    channel: str
    summary: str
    via: str | None = None


class LastTouches(msgspec.Struct, gc=False, rename={"inward": "in", "outward": "out"}):
    """The last contact from the customer and the last one to the customer."""

    inward: Touch | None
    outward: Touch | None


class RecentInteraction(msgspec.Struct, omit_defaults=True, gc=False):
    """One of the newest interactions, newest first."""

    id: str
    source: str
    type: str
    time: str
    channel: str
    summary: str | None = None
    direction: str | None = None
    via: str | None = None


class Interactions(msgspec.Struct, gc=False):
    """All interactions, counted exactly, and the newest of them."""

    count: int
    first: str | None
    last: str | None
    #: Each the JSON of a `RecentInteraction`, which was written once and is copied from then on.
    recent: list[msgspec.Raw]


class ContextDocument(msgspec.Struct, gc=False):
    """One customer, as everybody downstream sees it."""

    customer: str
    version: int
    settling: bool
    realm: str
    identity: Identity
    identifiers: list[ShownIdentifier]
    traits: dict[str, Trait]
    permissions: dict[str, dict[str, Permission]]
    channels: dict[str, Tally]
    types: dict[str, Tally]
    days: dict[str, dict[str, int]]
    refs: list[ShownRef]
    groups: dict[str, list[str]]
    last: LastTouches
    interactions: Interactions
    #: The kinds of groups that only attached members tell, with the kind of the member; absent without any.
    groups_via: dict[str, str] | msgspec.UnsetType = msgspec.UNSET


_ENCODER = msgspec.json.Encoder(order="deterministic")
_CANONICAL = msgspec.json.Encoder(order="sorted")


def encode_document(document: ContextDocument) -> bytes:
    """The document as JSON, fields in the order of the contract, keys of mappings sorted."""
    return _ENCODER.encode(document)


def canonical_bytes(document: ContextDocument | dict[str, Any] | bytes) -> bytes:
    """What laws compare: the context without `customer`, `version` and `settling`, keys sorted, no white space.

    Takes the document itself, decoded JSON, or its encoded bytes; all three give the same.
    """
    encoded = document if isinstance(document, bytes) else _ENCODER.encode(document)
    fields: dict[str, Any] = msgspec.json.decode(encoded)
    for name in UNSTABLE_FIELDS:
        fields.pop(name, None)
    return _CANONICAL.encode(fields)


class Interaction(msgspec.Struct, omit_defaults=True, gc=False):
    """An event accepted into a context, as on `gt.interactions` and in the lookup's answers."""

    id: str
    source: str
    type: str
    time: str
    channel: str
    customer: str
    fragment: str
    #: The kind of the identifier that it was routed by.
    kind: str
    grade: str
    summary: str | None = None
    direction: str | None = None
    session: str | None = None
    #: The event's own data, whole. A schema can't show a default of raw JSON, hence the factory.
    data: msgspec.Raw = msgspec.field(default_factory=lambda: msgspec.Raw(b"{}"))
    #: When the broker took the event: the difference to the time of visibility is how long we took.
    received: str | None = None
    #: What enrichers found out about it (docs/enrichment.md); absent where they found nothing.
    enriched: msgspec.Raw | msgspec.UnsetType = msgspec.UNSET


class FieldChange(msgspec.Struct, omit_defaults=True, gc=False):
    """One field that changed; `old` or `new` is absent where there was or is none."""

    #: A JSON pointer into the context document; entries of lists by their kind and id: `/refs/order/o-12`.
    field: str
    old: msgspec.Raw | msgspec.UnsetType = msgspec.UNSET
    new: msgspec.Raw | msgspec.UnsetType = msgspec.UNSET
    #: The event that caused it, where one did: source and id.
    source: str | None = None
    event: str | None = None


class ContextChange(msgspec.Struct, gc=False):
    """What one published version of a context changed, counters and recent interactions aside.

    What would be too large for a record comes in several of the same version, each with other fields.
    """

    customer: str
    version: int
    changes: list[FieldChange]
