"""Orders of systems of record: what `identity.merged`, `identity.removed` and `identity.replaced` say of who is who.

The event's `identifiers` are its subject's, `other` (kind to value or values) names who else it is about. Each of the
others makes an order of the pair that it forms with the subject's strongest identifier: they are one customer
(`merged`), they are not (`removed`), or they are one and the other holds no longer (`replaced`). Whether the source may
say so is decided by its registration alone.
"""

from collections.abc import Sequence
from typing import Final

from schemas.errors import DeadCode, EventError
from schemas.event import CloudEvent
from schemas.event_data import Named, read_named
from schemas.event_identifiers import EventIdentifiers, Known, value_pointer
from schemas.identity_policy import Grade
from schemas.messages import Order, SealedIdentifier
from schemas.orders import MERGED_EVENT, REMOVED_EVENT, REPLACED_EVENT, Authority, Verb
from schemas.sources import Source

_VERBS: Final = {MERGED_EVENT: Verb.REQUIRE, REMOVED_EVENT: Verb.FORBID, REPLACED_EVENT: Verb.REQUIRE}
_OTHER: Final = "/data/other"


def is_record_order(event: CloudEvent) -> bool:
    """Whether the event gives orders: by its type, unless it says that it links nobody."""
    return event.type in _VERBS and event.fields.link is not False


def record_orders(event: CloudEvent, subject: SealedIdentifier, others: Sequence[Known]) -> tuple[Order, ...]:
    """One order for each of the others.

    Args:
        event: One that `is_record_order`.
        subject: The strongest identifier of its subject.
        others: At least one; see `read_others`.

    Raises:
        EventError: one of the others is the subject's strongest identifier itself.
    """
    distinct = {other.sealed.fragment: other.sealed for other in others}
    if subject.fragment in distinct:
        message = f"`other` names the subject's own strongest identifier ({subject.kind}): an order is about two"
        raise EventError(DeadCode.ORDER_OF_ONE_IDENTIFIER, message, _OTHER)
    return tuple(
        Order(
            source=event.source,
            id=event.id,
            time=event.time,
            authority=int(Authority.RECORD),
            verb=_VERBS[event.type].value,
            identifiers=(subject, other),
            former=other.fragment if event.type == REPLACED_EVENT else "",
        )
        for other in distinct.values()
    )


def read_others(
    event: CloudEvent, identifiers: EventIdentifiers, source: Source, grade: Grade
) -> tuple[list[Known], list[str]]:
    """Whom an order is about besides its subject, strongest first, and their kinds that may not be shown.

    Raises:
        EventError: the source may give no such order; nobody is named, or one who can't be told.
    """
    if grade is not Grade.RECORD:
        message = (
            f"an event of type {event.type} orders who is who, which takes grade record: register source "
            f"{event.source!r} with it for this type in sources.yaml, or send another type"
        )
        raise EventError(DeadCode.ORDER_NOT_ALLOWED, message, "/type")
    given: dict[str, Named] = read_named(event.fields.other, "other")
    others: dict[str, Known] = {}
    for kind, place, resolved in identifiers.values(given, source, _OTHER):
        if not isinstance(resolved, Known):
            message = "it is empty, dropped, impossible or of a kind that is no identifier: an order has to be exact"
            raise EventError(DeadCode.ORDER_WITH_UNUSABLE_OTHER, message, value_pointer(_OTHER, kind.name, place))
        others[resolved.sealed.fragment] = resolved
    if not others:
        message = f"an event of type {event.type} names in `other` whom it is about besides its subject"
        raise EventError(DeadCode.ORDER_WITHOUT_OTHER, message, _OTHER)
    return sorted(others.values()), identifiers.concealed(given)
