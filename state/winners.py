"""What wins among several fragments: the newest registers, the newest references and lines, and counts added up.

Sources are given in an order that is fixed for a customer, and only a strictly greater register wins, so of two that
are equal the first source's stands.
"""

import functools
from collections.abc import Iterable
from typing import Any, Final, TypeAlias

import msgspec

from state.fragment import Count, Fragment, RefRegister, Register, Touch

_JSON = msgspec.json.Encoder()
_RAW = msgspec.Raw
# Kinds whose members' lines are marked: those of a policy, and some more.
_KINDS_MAX: Final = 256

#: Where a register comes from: a fragment, and its kind where it is attached.
Source: TypeAlias = tuple[Fragment, str | None]


class Fact(msgspec.Struct, frozen=True, gc=False):
    """A register that is shown; `claim` is a newer one of a lower grade."""

    register: Register
    via: str | None
    claim: "Fact | None" = None


class Mention(msgspec.Struct, frozen=True, gc=False):
    """A reference that is shown."""

    kind: str
    id: str
    register: RefRegister
    via: str | None


class Group(msgspec.Struct, frozen=True, gc=False):
    """Groups of one kind that are shown, and the newest event that told each."""

    values: dict[str, tuple[int, str, str]]
    via: str | None


class Contact(msgspec.Struct, frozen=True, gc=False):
    """An interaction that is shown."""

    touch: Touch
    via: str | None


def newest_traits(sources: list[Source]) -> dict[str, Fact]:
    """The newest register of each trait."""
    if len(sources) == 1:
        content, via = sources[0]
        return {name: Fact(register, via) for name, register in content.traits.items()}
    facts: dict[str, Fact] = {}
    for content, via in sources:
        for name, register in content.traits.items():
            held = facts.get(name)
            if held is None or register.age_key > held.register.age_key:
                facts[name] = Fact(register, via)
    return facts


def newest_permissions(sources: list[Source]) -> dict[tuple[str, str], Fact]:
    """The newest register of each channel and purpose."""
    facts: dict[tuple[str, str], Fact] = {}
    for content, via in sources:
        for channel, purposes in content.permissions.items():
            for purpose, register in purposes.items():
                name = (channel, purpose)
                held = facts.get(name)
                if held is None or register.age_key > held.register.age_key:
                    facts[name] = Fact(register, via)
    return facts


def newest_refs(sources: list[Source]) -> dict[tuple[str, str], Mention]:
    """The newest register of each reference, by kind and id."""
    mentions: dict[tuple[str, str], Mention] = {}
    for content, via in sources:
        for kind, ids in content.refs.items():
            for ref, register in ids.items():
                name = (kind, ref)
                held = mentions.get(name)
                if held is None or register.age_key > held.register.age_key:
                    mentions[name] = Mention(kind, ref, register, via)
    return mentions


def mention_key(mention: Mention) -> tuple[Any, ...]:
    """By which the newest references come first."""
    return (mention.register.age_key, mention.kind, mention.id)


def united_groups(sources: list[Source]) -> dict[str, Group]:
    """All groups, each with the newest event that told it."""
    groups: dict[str, Group] = {}
    for content, via in sources:
        for kind, values in content.groups.items():
            held = groups.setdefault(kind, Group({}, via)).values
            for value, age_key in values.items():
                held[value] = max(age_key, held.get(value, age_key))
    return groups


def recent_contacts(sources: list[Source], limit: int) -> list[msgspec.Raw]:
    """The newest interactions as JSON, at most `limit` of them."""
    if len(sources) == 1:
        content, _ = sources[0]
        return [_RAW(touch.shown) for touch in content.recent[:limit]]
    # Times nearly always tell, and as the first of a tuple they are compared without a call for each line.
    lines = [(touch.time, touch.shown, via) for content, via in sources for touch in content.recent]
    if len({line[0] for line in lines}) < len(lines):
        contacts = newest_contacts(sources, limit)
        return [_shown(contact.touch.shown, contact.via) for contact in contacts]
    lines.sort(reverse=True)
    return [_shown(shown, via) for _, shown, via in lines[:limit]]


def newest_contacts(sources: list[Source], limit: int) -> list[Contact]:
    """The newest interactions, at most `limit` of them."""
    contacts = [Contact(touch, via) for content, via in sources for touch in content.recent]
    distinct = len({contact.touch.time for contact in contacts}) == len(contacts)
    # The whole key costs a look into the JSON, and times alone nearly always tell.
    contacts.sort(key=_contact_time if distinct else _contact_key, reverse=True)
    return contacts[:limit]


def _shown(line: bytes, via: str | None) -> msgspec.Raw:
    return _RAW(line if via is None else b"%b,%b" % (line[:-1], _via(via)))


@functools.lru_cache(maxsize=_KINDS_MAX)
def _via(kind: str) -> bytes:
    return _JSON.encode({"via": kind})[1:]


def _contact_time(contact: Contact) -> int:
    return contact.touch.time


def _contact_key(contact: Contact) -> tuple[int, str, str]:
    return contact.touch.age_key


def last_contact(sources: list[Source], direction: str) -> Contact | None:
    """The newest interaction in the direction."""
    if len(sources) == 1:
        ((content, via),) = sources
        touch = content.last_touch(direction)
        return None if touch is None else Contact(touch, via)
    last: Contact | None = None
    for content, via in sources:
        touch = content.last_touch(direction)
        if touch is None:
            continue
        newer = last is None or touch.time > last.touch.time
        if newer or (last is not None and touch.time == last.touch.time and touch.age_key > last.touch.age_key):
            last = Contact(touch, via)
    return last


def add_days(tallies: Iterable[dict[str, dict[str, int]]]) -> dict[str, dict[str, int]]:
    """Counts by day and channel, added up."""
    added: dict[str, dict[str, int]] = {}
    for days in tallies:
        if not added:
            added = {day: channels.copy() for day, channels in days.items()}
            continue
        for day, channels in days.items():
            held = added.get(day)
            if held is None:
                added[day] = channels.copy()
                continue
            for channel, count in channels.items():
                held[channel] = held.get(channel, 0) + count
    return added


def add_counts(tallies: Iterable[dict[str, Count]]) -> dict[str, Count]:
    """Counts by name, added up; those of one tally alone are its own: read only."""
    added: dict[str, Count] = {}
    for tally in tallies:
        if not added:
            added = dict(tally)
            continue
        for name, count in tally.items():
            held = added.get(name)
            added[name] = count if held is None else add_count(held, count)
    return added


def add_count(one: Count, other: Count) -> Count:
    """Two counts as one."""
    return Count(
        one.count + other.count,
        min(one.first, other.first),
        max(one.last, other.last),
    )
