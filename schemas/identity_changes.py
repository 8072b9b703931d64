"""What `identity.changes` carries: every decision about who is who, with the evidence that brought it about.

One JSON object a decision, keyed by `customer`. Records of one cause share `offset`, and `offset` only grows, so that
the decisions have one order across all partitions.

| change | said of `fragment` | `customer` | `former` |
| --- | --- | --- | --- |
| linked | joined its customer by identifying links | the customer it is in now | - |
| attached | belongs to its customer, joins nobody to it | the customer it is in now | - |
| merged | was the home of a customer with members, which ended | the customer it is in now | the id that ended |
| split | left its customer | the customer it is in now | the customer that it left |
| vetoed | a link of it to `other` joins nothing, for `reason` | the customer it is in | - |
| shared | belongs to nobody from now on | its own id | the customer that it left, if it was in one |
| unshared | belongs to somebody again | the customer it is in now | - |
"""

from enum import StrEnum

import msgspec


class ChangeName(StrEnum):
    """What was decided."""

    LINKED = "linked"
    ATTACHED = "attached"
    MERGED = "merged"
    SPLIT = "split"
    VETOED = "vetoed"
    SHARED = "shared"
    UNSHARED = "unshared"


class Cause(msgspec.Struct, frozen=True, omit_defaults=True):
    """The event, or the order, whose evidence brought a decision about."""

    source: str
    id: str
    #: RFC 3339.
    time: str
    #: "record", "login" or "claimed".
    grade: str
    #: Of a decision that an order brought about: "require", "forbid", "split", "undo" or "policy".
    order: str = ""


class IdentityChange(msgspec.Struct, frozen=True, omit_defaults=True):
    """One decision. Empty fields are left out; nothing in it is a plain identifier."""

    change: ChangeName
    customer: str
    fragment: str
    #: Of the fragment's identifier.
    kind: str
    #: How well the fragment is linked to its home; of a veto, the grade of the link. Empty where only orders named it.
    grade: str
    #: Where in `identity.evidence` the cause stands.
    offset: int
    evidence: Cause
    former: str = ""
    #: The other end of a vetoed link.
    other: str = ""
    #: Of a veto: "forbidden", "unique" (a second value of a unique kind) or "limit" (the cluster's size).
    reason: str = ""


_ENCODER = msgspec.json.Encoder(order="deterministic")


def encode_identity_change(change: IdentityChange) -> bytes:
    """The JSON of a decision; equal decisions give equal bytes."""
    return _ENCODER.encode(change)
