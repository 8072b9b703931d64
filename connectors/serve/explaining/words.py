"""Explanations in sentences, for people: the same on the command line, on the page and in answers."""

from collections.abc import Sequence
from typing import Final

from connectors.serve.explaining.shapes import (
    Named,
    ShownObstacle,
    ShownOrder,
    ShownSharing,
    ShownStep,
    Statement,
)
from state.identity.explaining.results import Reason, SharedBy, Verdict

#: Digits of a customer's id that tell it from others in a sentence.
_ID_LENGTH: Final = 8
_GRADES: Final = {"record": "by a system of record", "login": "by a login", "claimed": "by a claim"}
_SHARED_BY: Final = {
    SharedBy.LIMIT: "logins or records tie it to more than {limit} identifiers of the kind {kind}",
    SharedBy.UNIQUE: "logins or records tie it to two values of {kind}, of which one person has one",
    SharedBy.CLAIMED: "nothing but claims links it, and these to more than {limit} identifiers of the kind {kind}",
    SharedBy.CUSTOMERS: "it is known as well for one customer as for another",
    SharedBy.CLAIMS: "it was claimed together with more than {limit} customers",
    SharedBy.UNLINKABLE: "the policy itself says so (unlinkable)",
    SharedBy.UNSETTLED: "its links have just changed, or are too many to read",
}
_REASONS: Final = {
    Reason.FORBIDDEN: "an order keeps them apart",
    Reason.UNIQUE: "it would put two values of {kind} into one customer, of which one person has one",
    Reason.LIMIT: "it would put more identifiers into one customer than may be",
    Reason.SHARED: "several people use {shared}, so it joins nobody",
    Reason.CLAIMED: "it was only claimed, and a claim joins no two customers",
    Reason.SURER: "the weaker of the two is better known to be somebody else's",
    Reason.GROUP: "those of its kind that it was seen with lead to different customers, or are too many",
    Reason.SPLIT: "an order or the policy says that nothing linked to it counts",
    Reason.WITHDRAWN: "an order says that nothing of its source counts",
    Reason.UNSETTLED: "it has just changed, or too much would have to be read to tell",
}
_LOST_BY: Final = {
    "attached": "said by an identifier that is only attached, which fills in where the customer's own say nothing",
    "former": "an identifier that another one has replaced",
    "grade": "known less well, and for this trait what is known best counts before what is newest",
    "time": "older",
    "rank": "of the same time, from a source of a lower rank",
    "source": "of the same time and rank; the source's name decides",
    "event": "of the same time and source; the event's id decides",
    "limit": "the context shows as many traits as it may, and this is older than all of them",
}


def named(identifier: Named) -> str:
    """An identifier in a sentence."""
    if identifier.value is not None:
        return f"{identifier.kind} {identifier.value}"
    whose = f" of customer {identifier.customer[:_ID_LENGTH]}…" if identifier.customer else ""
    return f"{_article(identifier.kind)} {identifier.kind}{whose}"


def because_of_pair(
    verdict: str,
    identifiers: Sequence[Named],
    chain: Sequence[ShownStep],
    shared: Sequence[ShownSharing],
    orders: Sequence[ShownOrder],
) -> str:
    """Why two identifiers are one customer or are not."""
    one, other = map(named, identifiers)
    if verdict == Verdict.SHARED:
        return "; ".join(because_shared(sharing) for sharing in shared) + "."
    if verdict == Verdict.ONE:
        if not chain:
            return f"Both are {one}."
        weakest = min((step.grade for step in chain), key=list(reversed(_GRADES)).index)
        links = "one link" if len(chain) == 1 else f"{len(chain)} links"
        return f"One customer: {one} leads to {other} by {links}, the weakest of them known {_GRADES[weakest]}."
    broken = next((step for step in chain if step.obstacle is not None), None)
    if broken is None or broken.obstacle is None:
        standing = next((order for order in orders if order.verb != "require"), None)
        kept = f"; besides, {order_words(standing)}" if standing else ""
        return f"Two customers: nothing that was found links {one} and {other}{kept}."
    link = "they were" if len(chain) == 1 else f"{named(broken.one)} and {named(broken.other)} were"
    seen = "linked by an order" if not broken.sights else "seen together"
    return f"Two customers: {link} {seen}, but {because_obstacle(broken.obstacle)}."


def because_shared(sharing: ShownSharing) -> str:
    """Why an identifier is nobody's."""
    cause = _SHARED_BY[SharedBy(sharing.by)].format(limit=sharing.limit, kind=sharing.kind)
    return f"{named(sharing.identifier)} is shared, so it is nobody's: {cause}"


def because_obstacle(obstacle: ShownObstacle) -> str:
    """Why a link joins nothing."""
    ends = " and ".join(named(sharing.identifier) for sharing in obstacle.shared)
    cause = _REASONS[Reason(obstacle.reason)].format(kind=obstacle.kind, shared=ends)
    told = [order_words(order) for order in obstacle.orders]
    return f"{cause} ({'; '.join(told)})" if told else cause


def order_words(order: ShownOrder) -> str:
    """An order in a clause."""
    if order.by == "policy":
        return "the policy calls it unlinkable"
    giver = "an operator" if order.by == "operator" else f"a record of {order.source}"
    about = f" of source {order.split_source}" if order.split_source else ""
    when = f" on {order.time[:10]}" if order.time else ""
    author = f", given by {order.author}" if order.author else ""
    reason = f": {order.reason}" if order.reason else ""
    return f"{order.verb}{about} by {giver}{when}, {order.id}{author}{reason}"


def because_of_customer(identifiers: int, vetoes: int, shared: int, orders: int) -> str:
    """What a customer is made of."""
    parts = [
        _count(identifiers, "identifier"),
        f"{_count(vetoes, 'link')} that {'joins' if vetoes == 1 else 'join'} nothing",
        f"{_count(shared, 'shared neighbour')}",
        f"{_count(orders, 'standing order')}",
    ]
    return f"{', '.join(parts[:-1])} and {parts[-1]}."


def because_of_trait(trait: str, rule: str, value: Statement | None, losers: int) -> str:
    """Why a trait has its value."""
    if value is None:
        return f"{trait} is not shown: {_LOST_BY['limit']}."
    what = "was withdrawn" if bytes(value.value) == b"null" else "is the one said"
    said = f"{trait} {what} by {value.source} in event {value.event} of {value.time}"
    if not losers:
        return f"{said}: nobody says anything else."
    order = "what is known best counts, then what is newest" if rule == "trusted" else "what is newest counts"
    return f"{said}: {order}; {_count(losers, 'other')} lost."


def lost_by(reason: str) -> str:
    """Why a value of a trait is not the one that is shown."""
    return _LOST_BY[reason]


def _count(number: int, what: str) -> str:
    return f"{number:,} {what}" if number == 1 else f"{number:,} {what}s"


def _article(word: str) -> str:
    return "an" if word[:1] in "aeiou" else "a"
