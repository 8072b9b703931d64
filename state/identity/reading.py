"""Reads records of `identity.evidence` and checks what they say of themselves; one that is wrong goes to `dead`."""

import re
from typing import Final

from schemas.errors import DeadCode, EventError, SecretError
from schemas.identity_policy import Grade
from schemas.limits import ID_LENGTH_MAX, IDENTIFIERS_MAX, SOURCE_LENGTH_MAX
from schemas.messages import Evidence, IdentityMessage, Order, PolicyChange, SealedIdentifier, Undo, decode_identity
from schemas.orders import (
    AUTHOR_LENGTH_MAX,
    OPERATOR_SOURCE,
    ORDER_ID_PATTERN,
    REASON_LENGTH_MAX,
    Authority,
    Verb,
)
from schemas.strict_json import UNREADABLE
from schemas.times import TIME_MAX_US
from state.identity.link_rows import LinkRows

_GRADES: Final = frozenset(Grade)
_ORDER_ID: Final = re.compile(ORDER_ID_PATTERN)
_PAIR, _ONE, _SOURCE = 2, 1, 0
#: How many identifiers an order of each authority and verb may name.
_SHAPES: Final = {
    (Authority.RECORD, Verb.REQUIRE): (_PAIR,),
    (Authority.RECORD, Verb.FORBID): (_PAIR,),
    (Authority.OPERATOR, Verb.REQUIRE): (_PAIR,),
    (Authority.OPERATOR, Verb.FORBID): (_PAIR,),
    (Authority.OPERATOR, Verb.SPLIT): (_PAIR, _ONE, _SOURCE),
}


class Reading:
    """Turns bytes into messages that identity can rely on.

    Args:
        links: tells known identifiers, whose seals were opened once.
    """

    def __init__(self, links: LinkRows) -> None:
        self._links = links

    def read(self, value: bytes) -> IdentityMessage:
        """The message.

        Raises:
            EventError: it can't be read, or contradicts itself.
        """
        try:
            message = decode_identity(value)
        except UNREADABLE as error:
            raise EventError(DeadCode.UNREADABLE_MESSAGE, f"no readable evidence or order: {error}") from None
        if isinstance(message, Evidence):
            self._check_evidence(message)
        elif isinstance(message, Order):
            self._check_order(message)
        elif isinstance(message, Undo):
            _check_undo(message)
        elif isinstance(message, PolicyChange):
            _check_policy(message)
        return message

    def _check_evidence(self, evidence: Evidence) -> None:
        count = len(evidence.identifiers)
        if count > IDENTIFIERS_MAX:
            raise _wrong(f"{count} identifiers, {IDENTIFIERS_MAX} are the most")
        if evidence.grade not in _GRADES:
            raise _wrong(f"grade {evidence.grade} is none")
        _check_time(evidence.time)
        for one, other in evidence.pairs:
            if not (0 <= one < count and 0 <= other < count):
                raise _wrong(f"pair {one}, {other} is not among {count} identifiers")
            if evidence.identifiers[one].fragment == evidence.identifiers[other].fragment:
                raise _wrong(f"pair {one}, {other} is one identifier")
        for identifier in evidence.identifiers:
            self._check_identifier(identifier)

    def _check_order(self, order: Order) -> None:
        if order.authority not in tuple(Authority) or order.verb not in tuple(Verb):
            raise _wrong(f"nobody may order {order.verb!r} with authority {order.authority}")
        authority, verb = Authority(order.authority), Verb(order.verb)
        fragments = [identifier.fragment for identifier in order.identifiers]
        if len(fragments) not in _SHAPES.get((authority, verb), ()):
            raise _wrong(f"{authority.name} can't order {verb} of {len(fragments)} identifiers")
        if len(set(fragments)) != len(fragments):
            raise _wrong(f"{verb} of one identifier and itself")
        if bool(order.withdrawn_source) == bool(fragments):
            raise _wrong("an order names either identifiers or a source")
        if order.former and (order.former not in fragments or verb is not Verb.REQUIRE):
            raise _wrong(f"former {order.former!r} is none of a required pair")
        _check_time(order.time)
        if authority is Authority.OPERATOR:
            if order.source != OPERATOR_SOURCE:
                raise _wrong(f"an operator's order has the source {OPERATOR_SOURCE!r}, not {order.source!r}")
            _check_id(order.id)
        elif not order.source or not order.id:
            raise _wrong("a record's order has no source or no id")
        _check_length("source", order.source, SOURCE_LENGTH_MAX)
        _check_length("id", order.id, ID_LENGTH_MAX)
        _check_length("source that is split off", order.withdrawn_source, SOURCE_LENGTH_MAX)
        _check_words(order.author, order.reason)
        for identifier in order.identifiers:
            self._check_identifier(identifier)

    def _check_identifier(self, identifier: SealedIdentifier) -> None:
        """A new identifier has to open under its fragment and be of its kind; a known one did so once."""
        row = self._links.row(identifier.fragment)
        if row is None:
            try:
                kind = self._links.unseal(identifier.sealed, identifier.fragment).kind
            except (SecretError, ValueError) as error:
                raise _wrong(str(error)) from None
        else:
            kind = row.kind
        if kind != identifier.kind:
            raise _wrong(f"fragment {identifier.fragment} is of kind {kind}, not {identifier.kind}")


def _check_undo(undo: Undo) -> None:
    _check_id(undo.id)
    _check_id(undo.order)
    _check_time(undo.time)
    _check_words(undo.author, undo.reason)


def _check_policy(change: PolicyChange) -> None:
    _check_id(change.id)
    _check_time(change.time)
    _check_words(change.author, change.reason)


def _check_id(text: str) -> None:
    if _ORDER_ID.fullmatch(text) is None:
        raise _wrong(f"id {text!r} does not match {ORDER_ID_PATTERN}")


def _check_words(author: str, reason: str) -> None:
    _check_length("author", author, AUTHOR_LENGTH_MAX)
    _check_length("reason", reason, REASON_LENGTH_MAX)


def _check_length(name: str, text: str, length_max: int) -> None:
    if len(text) > length_max:
        raise _wrong(f"{name} has {len(text)} characters, {length_max} are the most")


def _check_time(time: int) -> None:
    if not 0 <= time <= TIME_MAX_US:
        raise _wrong(f"time {time} is none")


def _wrong(message: str) -> EventError:
    return EventError(DeadCode.UNREADABLE_MESSAGE, message)
