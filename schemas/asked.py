"""An identifier as somebody asks for it, or gives an order about it, and which of those events are routed by."""

from typing import Annotated, Final

import msgspec

from schemas.errors import EventError
from schemas.identifiers import DEFAULT_NAMESPACE, DEFAULT_REALM, Identifier
from schemas.identity_policy import Policy, Strength
from schemas.normalise import identify, is_kind_name

#: Names of realms and namespaces come from `sources.yaml` and are short.
NAME_LENGTH_MAX: Final = 128
#: A name of a namespace or a realm.
NameWord = Annotated[str, msgspec.Meta(min_length=1, max_length=NAME_LENGTH_MAX)]


class AskedIdentifier(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """An identifier as somebody asks for it; it is normalised as in events."""

    kind: str
    value: str
    #: Tells `crm:8812` of one system from that of another.
    namespace: NameWord = DEFAULT_NAMESPACE
    realm: NameWord = DEFAULT_REALM


def routed_identifier(asked: AskedIdentifier, policy: Policy) -> Identifier | None:
    """The identifier as events would route by it; None for a kind or value that routes nothing."""
    if not is_kind_name(asked.kind):
        return None
    kind = policy.kind(asked.kind)
    if kind.strength is Strength.NONE or kind.hidden or kind.group or not kind.enabled:
        return None
    try:
        return identify(kind, asked.value, policy, asked.realm, asked.namespace)
    except EventError:
        return None
