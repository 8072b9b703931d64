"""Cleaning: an event in, the routed event and the identifiers that it links out.

`Cleaner.clean` is what intake does to each record, and what collect does beforehand to answer a sender at once. It
is a pure function of event, policy, registrations, topic and the time that it is given:

1. whose word it is: the source's registration, the channel, the time;
2. whose event it is: identifiers normalised, the routing one chosen, those that are evidence picked, and what a system
   of record orders about them (`schemas.record_orders`);
3. what it says: traits, references, permissions and groups within their bounds.
"""

from collections.abc import Iterable
from typing import Any, Final, NamedTuple

import msgspec

from schemas.errors import DeadCode, EventError
from schemas.event import CloudEvent
from schemas.event_data import EventData
from schemas.event_identifiers import CACHED_IDENTIFIERS_MAX, EventIdentifiers, Known
from schemas.identity_policy import Grade, Policy
from schemas.keys import Keyring
from schemas.limits import (
    FUTURE_TOLERANCE_SECONDS,
    GROUPS_MAX,
    PERMISSIONS_MAX,
    REF_FIELD_LENGTH_MAX,
    REFS_MAX,
    SESSION_LENGTH_MAX,
    SUMMARY_LENGTH_MAX,
    TRAIT_NAME_LENGTH_MAX,
    TRAIT_SIZE_BYTES_MAX,
    TRAITS_MAX,
)
from schemas.messages import Order, Ref, RoutedEvent, SealedIdentifier
from schemas.normalise import is_kind_name
from schemas.record_orders import is_record_order, read_others, record_orders
from schemas.sources import Source, SourceRegistry
from schemas.strict_json import canonical_json, pointer_to
from schemas.times import MICROSECONDS_PER_SECOND

_ELLIPSIS: Final = "…"


class Cleaned(NamedTuple):
    """What one event comes to."""

    routed: RoutedEvent
    #: Those that are evidence of who is who, strongest first; empty where there is no pair.
    identifiers: tuple[SealedIdentifier, ...]
    #: The registration that applied.
    source: Source
    grade: Grade
    #: What the event orders about who is who; of systems of record alone.
    orders: tuple[Order, ...] = ()


class Cleaner:
    """Cleans events under one policy and one set of registrations."""

    def __init__(
        self,
        *,
        policy: Policy,
        registry: SourceRegistry,
        keyring: Keyring,
        channels: Iterable[str],
        future_tolerance_seconds: int = FUTURE_TOLERANCE_SECONDS,
        cached_identifiers_max: int = CACHED_IDENTIFIERS_MAX,
    ) -> None:
        self._registry = registry
        self._channels = frozenset(channels)
        self.future_tolerance_us = future_tolerance_seconds * MICROSECONDS_PER_SECOND
        self.identifiers = EventIdentifiers(policy, keyring, cached_identifiers_max=cached_identifiers_max)

    def clean(self, event: CloudEvent, *, topic_channel: str | None, now_us: int) -> Cleaned:
        """The routed event and its evidence.

        `topic_channel` is the channel of the raw topic that the event lies on, None before it lies on one. `now_us`
        is the record's broker time, or the clock where there is no record yet.

        Raises:
            EventError: the event goes to `dead`, or its sender is answered so.
        """
        # 1. Whose word it is.
        source, grade = self._registry.source(event.source), self._registry.grade(event.source, event.type)
        channel = event.channel or source.channel or topic_channel
        if channel not in self._channels or (channel != topic_channel and topic_channel is not None):
            raise self._wrong_channel(channel, topic_channel)
        if event.time > now_us + self.future_tolerance_us:
            raise EventError(DeadCode.FUTURE_TIME, "the time lies in the future of the one who received it", "/time")
        # 2. Whose event it is.
        fields = event.fields
        known, groups, concealed = self._subject(fields, source)
        for routing in known:
            if routing.routes:
                break
        else:
            message = "no identifier is usable: each is missing, dropped, impossible or of a kind that never routes"
            raise EventError(DeadCode.NO_USABLE_IDENTIFIER, message, "/data/identifiers")
        evidence: dict[str, SealedIdentifier] = {}
        if fields.link is not False and len(known) > 1:
            evidence = {each.sealed.fragment: each.sealed for each in known if each.links}
        orders: tuple[Order, ...] = ()
        others_concealed: list[str] = []
        if is_record_order(event):
            others, others_concealed = read_others(event, self.identifiers, source, grade)
            orders = record_orders(event, known[0].sealed, others)
        # 3. What it says.
        summary = fields.summary or ""
        if len(summary) > SUMMARY_LENGTH_MAX:
            summary = summary[: SUMMARY_LENGTH_MAX - 1].rstrip() + _ELLIPSIS
        data = event.data
        if concealed or others_concealed:
            data = _without(data, concealed, others_concealed)
        # Most fields are named by what is given for them, and the others here: so many by their names cost as much as
        # reading the event's JSON.
        routed = RoutedEvent(
            routing.sealed.fragment,  # target
            routing.sealed.kind,
            routing.sealed.sealed,
            event.source,
            event.id,
            event.type,
            event.time,
            channel,
            source.rank,
            grade,
            event.content,
            event.assigned,
            fields.direction or "",
            summary,
            "" if fields.session is None else _session(fields.session),
            _traits(fields.traits) if fields.traits else {},
            _permissions(fields.permissions) if fields.permissions else {},
            _refs(fields) if fields.refs else (),
            _groups(fields, groups) if fields.groups or groups else {},
            data,
            now_us,  # received
        )
        return Cleaned(routed, tuple(evidence.values()) if len(evidence) > 1 else (), source, grade, orders)

    def _wrong_channel(self, channel: str | None, topic_channel: str | None) -> EventError:
        if channel is None:
            message = "no channel: name one in the attribute `channel`, or register the source with one"
            return EventError(DeadCode.UNKNOWN_CHANNEL, message, "/channel")
        if channel not in self._channels:
            message = f"channel {channel!r} is none of {', '.join(sorted(self._channels))}"
            return EventError(DeadCode.UNKNOWN_CHANNEL, message, "/channel")
        message = f"an event of channel {channel!r} came on the raw topic of {topic_channel!r}"
        return EventError(DeadCode.CHANNEL_MISMATCH, message, "/channel")

    def _subject(self, fields: EventData, source: Source) -> tuple[list[Known], dict[str, list[str]], list[str]]:
        """The usable ones in the order of routing, groups by kind, and the kinds that may not be shown."""
        known: list[Known] = []
        groups: dict[str, list[str]] = {}
        given = fields.identifiers
        if given is None:
            return known, groups, []
        for kind, _, resolved in self.identifiers.values(given, source, "/data/identifiers"):
            if isinstance(resolved, Known):
                known.append(resolved)
            elif resolved is not None:
                groups.setdefault(kind.name, []).append(resolved)
        if len(known) > 1:
            known.sort()
        return known, groups, self.identifiers.concealed(given)


def _wrong(message: str, *path: str | int) -> EventError:
    pointer = "/data"
    for token in path:
        pointer = pointer_to(pointer, token)
    return EventError(DeadCode.WRONG_ATTRIBUTE, message, pointer)


def _session(session: str | int) -> str:
    text = str(session)
    if len(text) > SESSION_LENGTH_MAX:
        raise _wrong(f"a session has at most {SESSION_LENGTH_MAX} characters", "session")
    return text


def _traits(traits: dict[str, Any]) -> dict[str, bytes]:
    if len(traits) > TRAITS_MAX:
        raise EventError(DeadCode.TOO_MANY_TRAITS, f"{len(traits)} traits, at most {TRAITS_MAX}", "/data/traits")
    encoded: dict[str, bytes] = {}
    for name, value in traits.items():
        if not 0 < len(name) <= TRAIT_NAME_LENGTH_MAX:
            raise _wrong(f"a trait's name has 1 to {TRAIT_NAME_LENGTH_MAX} characters", "traits", name)
        text = canonical_json(value)
        if len(text) > TRAIT_SIZE_BYTES_MAX:
            message = f"a trait of {len(text)} bytes, at most {TRAIT_SIZE_BYTES_MAX}"
            raise EventError(DeadCode.TRAIT_TOO_LARGE, message, pointer_to("/data/traits", name))
        encoded[name] = text
    return encoded


def _permissions(permissions: dict[str, dict[str, bool] | None]) -> dict[str, dict[str, bool]]:
    if sum(len(purposes or ()) for purposes in permissions.values()) > PERMISSIONS_MAX:
        raise _wrong(f"more than {PERMISSIONS_MAX} permissions", "permissions")
    for channel, purposes in permissions.items():
        for name in (channel, *(purposes or ())):
            if not 0 < len(name) <= TRAIT_NAME_LENGTH_MAX:
                message = f"channels and purposes have 1 to {TRAIT_NAME_LENGTH_MAX} characters"
                raise _wrong(message, "permissions", channel)
    return {channel: purposes for channel, purposes in permissions.items() if purposes}


def _refs(fields: EventData) -> tuple[Ref, ...]:
    refs = fields.refs or ()
    if len(refs) > REFS_MAX:
        raise _wrong(f"{len(refs)} references, at most {REFS_MAX}", "refs")
    cleaned = []
    for place, ref in enumerate(refs):
        whole = Ref(ref.kind, str(ref.id), "" if ref.status is None else str(ref.status))
        if not whole.kind or not whole.id:
            raise _wrong("a reference has a kind and an id", "refs", place)
        if max(len(whole.kind), len(whole.id), len(whole.status)) > REF_FIELD_LENGTH_MAX:
            raise _wrong(f"a reference's fields have at most {REF_FIELD_LENGTH_MAX} characters", "refs", place)
        cleaned.append(whole)
    return tuple(cleaned)


def _groups(fields: EventData, identified: dict[str, list[str]]) -> dict[str, tuple[str, ...]]:
    """Groups that the event names, and those among its identifiers, such as its company."""
    groups: dict[str, set[str]] = {name: set(values) for name, values in identified.items()}
    for name, given in (fields.groups or {}).items():
        if not is_kind_name(name):
            raise _wrong("a group's kind is written as an identifier's", "groups", name)
        for value in given if isinstance(given, list) else (given,):
            text = "" if value is None else str(value).strip()
            if len(text) > REF_FIELD_LENGTH_MAX:
                raise _wrong(f"a group has at most {REF_FIELD_LENGTH_MAX} characters", "groups", name)
            if text:
                groups.setdefault(name, set()).add(text)
    if sum(map(len, groups.values())) > GROUPS_MAX:
        raise _wrong(f"more than {GROUPS_MAX} groups", "groups")
    return {name: tuple(sorted(values)) for name, values in groups.items()}


def _without(data: bytes, concealed: list[str], others_concealed: list[str]) -> bytes:
    """The data without the identifiers that are never shown. They are evidence, and go no further."""
    decoded = msgspec.json.decode(data)
    for name in concealed:
        del decoded["identifiers"][name]
    for name in others_concealed:
        del decoded["other"][name]
    return canonical_json(decoded)
