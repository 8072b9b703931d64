"""Writes a joined customer out as its context document, and cuts one that no record could carry."""

from typing import Final

import msgspec

from schemas.document import (
    ContextDocument,
    Identity,
    Interactions,
    LastTouches,
    Permission,
    ShownIdentifier,
    ShownRef,
    Tally,
    Touch,
    Trait,
)
from schemas.identifiers import DEFAULT_NAMESPACE
from schemas.identity_policy import Grade
from schemas.times import format_time
from state.fragment import WITHDRAWN, Count
from state.join import Joined, Part
from state.winners import Contact, Fact, Mention

#: Kafka's default bound is 1 MiB a record; the rest is for keys, headers and the batch.
DOCUMENT_SIZE_BYTES_MAX: Final = 900_000

GRADE_LABELS: Final = {int(grade): grade.label for grade in Grade}
_CLAIMED: Final = Grade.CLAIMED.label
#: Said of an identifier, and of one that another has replaced.
CURRENT: Final = "current"
FORMER: Final = "former"


class _Line(msgspec.Struct, gc=False):
    """What is shown of the last contact, beside its time."""

    channel: str
    summary: str = ""


_LINE = msgspec.json.Decoder(_Line)
_YES: Final = b"true"


def show(customer: str, joined: Joined, version: int = 0) -> ContextDocument | None:
    """The document; None for a customer without events, who has no context."""
    total = joined.total
    if total is None:
        return None
    first, last = format_time(total.first), format_time(total.last)
    return ContextDocument(
        customer,
        version,
        joined.settling,
        joined.realm,
        Identity(joined.level, joined.strongest),
        [_identifier(part) for part in joined.identifiers],
        _traits(joined) if joined.traits else {},
        _permissions(joined) if joined.permissions else {},
        _tallies(joined.channels, total, first, last),
        _tallies(joined.types, total, first, last),
        joined.days,
        [_ref(mention) for mention in joined.refs],
        {kind: sorted(group.values) for kind, group in joined.groups.items()},
        LastTouches(_last(joined.last_in), _last(joined.last_out)),
        Interactions(total.count, first, last, joined.recent),
        {kind: group.via for kind, group in joined.groups.items() if group.via is not None} or msgspec.UNSET,
    )


def _tallies(counts: dict[str, Count], total: Count, first: str, last: str) -> dict[str, Tally]:
    """Counts with their times; the `first` and `last` of the total, which are those of some of them, are written."""
    total_first, total_last = total.first, total.last
    return {
        name: Tally(
            count.count,
            first if count.first == total_first else format_time(count.first),
            last if count.last == total_last else format_time(count.last),
        )
        for name, count in counts.items()
    }


def _ref(mention: Mention) -> ShownRef:
    register = mention.register
    return ShownRef(
        mention.kind, mention.id, register.type, format_time(register.time), register.status or None, mention.via
    )


def sight(first: int | None, last: int | None, total: Count | None) -> tuple[int | None, int | None]:
    """First and last time that identity or an event saw the identifier, in microseconds.

    Identity keeps the last one by the start of a 30-day bucket, which may lie before the first.

    Args:
        first: by identity.
        last: by identity.
        total: the events that came by the identifier.
    """
    if total is None:
        return first, last if first is None or last is None else max(first, last)
    if first is None:
        return total.first, total.last
    return min(first, total.first), max(first, total.last, last or 0)


def _identifier(part: Part) -> ShownIdentifier:
    kind, value, namespace, _ = part.identifier
    first, last = sight(part.first, part.last, part.content.total)
    return ShownIdentifier(
        kind,
        value,
        GRADE_LABELS.get(part.grade, _CLAIMED),
        part.role,
        None if first is None else format_time(first),
        None if last is None else format_time(last),
        FORMER if part.former else CURRENT,
        None if namespace == DEFAULT_NAMESPACE else namespace,
    )


def grade_label(grade: int) -> str:
    """The word for a grade; what nothing graded is claimed."""
    return GRADE_LABELS.get(grade, _CLAIMED)


def _traits(joined: Joined) -> dict[str, Trait]:
    shown: dict[str, Trait] = {}
    for name, fact in joined.traits.items():
        if fact.register.value != WITHDRAWN:
            is_trusted = name in joined.trusted
            trait = shown[name] = _said(fact, is_trusted)
            if fact.claim is not None:
                trait.newer_claim = _said(fact.claim, is_trusted)
    return shown


def _said(fact: Fact, is_trusted: bool) -> Trait:
    register = fact.register
    return Trait(
        msgspec.Raw(register.value),
        format_time(register.time),
        register.source,
        register.event,
        fact.via,
        None,
        grade_label(register.grade) if is_trusted else None,
    )


def _permissions(joined: Joined) -> dict[str, dict[str, Permission]]:
    shown: dict[str, dict[str, Permission]] = {}
    for (channel, purpose), fact in joined.permissions.items():
        register = fact.register
        shown.setdefault(channel, {})[purpose] = Permission(
            register.value == _YES, format_time(register.time), register.source, register.event, fact.via
        )
    return shown


def _last(contact: Contact | None) -> Touch | None:
    if contact is None:
        return None
    touch = contact.touch
    line = _LINE.decode(touch.shown)
    return Touch(format_time(touch.time), line.channel, line.summary, contact.via)
