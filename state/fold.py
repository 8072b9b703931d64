"""The fold: one event into the fragment of its strongest identifier.

`fold` is commutative and idempotent but for its counts, which count on being given each event once: `dedupe` sees
to that. It reads no clock, no offset and nothing random, so the same events give the same bytes for ever.
"""

from collections.abc import Callable, Iterable
from typing import Any, Final, TypeVar

import msgspec

from schemas.document import RecentInteraction
from schemas.identity_policy import Grade
from schemas.messages import RoutedEvent
from schemas.times import MICROSECONDS_PER_DAY, format_day, format_time
from state.fragment import Count, Fragment, Limits, RefRegister, Register, Touch

LIMITS: Final = Limits()

_CLAIMED: Final = int(Grade.CLAIMED)
_JSON = msgspec.json.Encoder()
_Value = TypeVar("_Value")


def fold(fragment: Fragment, event: RoutedEvent, limits: Limits = LIMITS) -> bool:
    """Apply an event that was not applied before to its fragment, in place.

    Returns:
        Whether what the fragment says may have changed: its grade, traits, permissions, refs or groups. Counts and
        recent interactions always change.
    """
    said = event.grade > fragment.grade
    if said:
        fragment.grade = event.grade
    _count(fragment, event, limits)
    _touch(fragment, event, limits)
    if event.traits:
        for name, value in event.traits.items():
            said |= _trait(fragment, name, value, event, limits)
    if event.permissions:
        said |= _permissions(fragment, event, limits)
    if event.refs:
        said |= _refs(fragment, event, limits)
    if event.groups:
        said |= _groups(fragment, event, limits)
    return said


def _count(fragment: Fragment, event: RoutedEvent, limits: Limits) -> None:
    time, channel = event.time, event.channel
    count = fragment.total
    if count is None:
        fragment.total = Count(1, time, time)
    else:
        _increase(count, time)
    # Channels are those of the catalogue, so they bound themselves.
    count = fragment.channels.get(channel)
    if count is None:
        fragment.channels[channel] = Count(1, time, time)
    else:
        _increase(count, time)
    types = fragment.types
    count = types.get(event.type)
    if count is not None:
        _increase(count, time)
    else:
        types[event.type] = Count(1, time, time)
        if len(types) > limits.types:
            del types[max(types)]
    days = fragment.days
    day = format_day(time // MICROSECONDS_PER_DAY)
    channels = days.get(day)
    if channels is not None:
        channels[channel] = channels.get(channel, 0) + 1
    else:
        days[day] = {channel: 1}
        if len(days) > limits.days:
            del days[min(days)]


def is_first_of_day(fragment: Fragment, day: int) -> bool:
    """Whether the fragment was surely never given an event of the day: of its days, only the oldest are let go."""
    days = fragment.days
    if not days:
        return fragment.total is None
    text = format_day(day)
    return text not in days and text > max(days)


def _increase(count: Count, time: int) -> None:
    count.count += 1
    if time > count.last:
        count.last = time
    elif time < count.first:
        count.first = time


def _touch(fragment: Fragment, event: RoutedEvent, limits: Limits) -> None:
    recent, direction = fragment.recent, event.direction
    touch = Touch(event.time, direction, _shown(event))
    place = 0
    if recent and event.time <= recent[0].time:
        place = _place(recent, (event.time, event.source, event.id))
    recent.insert(place, touch)
    if place < limits.recent:
        # From now on the list itself tells the last one in this direction.
        fragment.last.pop(direction, None)
    if len(recent) > limits.recent:
        left = recent.pop()
        if left.direction and not _has_direction(recent, left.direction):
            held = fragment.last.get(left.direction)
            if held is None or left.age_key > held.age_key:
                fragment.last[left.direction] = left


def _has_direction(recent: list[Touch], direction: str) -> bool:
    # A loop costs a third of `any` over a generator, and ends at the first or second.
    for touch in recent:  # noqa: SIM110 - see above.
        if touch.direction == direction:
            return True
    return False


def _place(recent: list[Touch], age_key: tuple[int, str, str]) -> int:
    time = age_key[0]
    for place, other in enumerate(recent):
        if time > other.time or (time == other.time and age_key > other.age_key):
            return place
    return len(recent)


def _shown(event: RoutedEvent) -> bytes:
    return _JSON.encode(
        RecentInteraction(
            event.id,
            event.source,
            event.type,
            format_time(event.time),
            event.channel,
            event.summary or None,
            event.direction or None,
        )
    )


def _trait(fragment: Fragment, name: str, value: bytes, event: RoutedEvent, limits: Limits) -> bool:
    traits, trusted = fragment.traits, fragment.trusted
    time, newest = event.time, traits.get(name)
    if newest is None or time != newest.time:
        wins = newest is None or time > newest.time
    else:
        wins = (time, event.rank, event.source, event.id) > newest.age_key
    best = fragment.trusted_register(name) if trusted else None
    better = event.grade > _CLAIMED and (
        best is None or (event.grade, event.time, event.rank, event.source, event.id) > best.trust_key
    )
    if not (wins or better):
        return False
    register = Register(value, event.time, event.rank, event.source, event.id, event.grade)
    if better:
        trusted[name] = None if wins else register
    elif best is not None:
        # It was the newest one until now, and has to be kept by itself.
        trusted[name] = best
    if wins:
        traits[name] = register
    if len(traits) > limits.traits:
        oldest = min(traits, key=lambda each: (traits[each].age_key, each))
        left = traits.pop(oldest)
        if oldest in trusted and trusted[oldest] is None:
            trusted[oldest] = left
    if len(trusted) > limits.trusted:
        del trusted[min(trusted, key=lambda each: ((trusted[each] or traits[each]).trust_key, each))]
    return (wins and (newest is None or newest.value != value)) or (better and (best is None or best.value != value))


def _permissions(fragment: Fragment, event: RoutedEvent, limits: Limits) -> bool:
    said = False
    age_key = (event.time, event.rank, event.source, event.id)
    for channel, purposes in event.permissions.items():
        held = fragment.permissions.setdefault(channel, {})
        for purpose, allowed in purposes.items():
            before = held.get(purpose)
            if before is None or age_key > before.age_key:
                value = b"true" if allowed else b"false"
                held[purpose] = Register(value, event.time, event.rank, event.source, event.id, event.grade)
                said |= before is None or before.value != value
    _keep_newest(fragment.permissions, limits.permissions, lambda register: register.age_key)
    return said


def _refs(fragment: Fragment, event: RoutedEvent, limits: Limits) -> bool:
    said = False
    age_key = (event.time, event.source, event.id)
    for ref in event.refs:
        held = fragment.refs.setdefault(ref.kind, {})
        before = held.get(ref.id)
        if before is None or age_key > before.age_key:
            held[ref.id] = RefRegister(ref.status, event.type, event.time, event.source, event.id)
            said |= before is None or before.status != ref.status or before.type != event.type
    _keep_newest(fragment.refs, limits.refs, lambda register: register.age_key)
    return said


def _groups(fragment: Fragment, event: RoutedEvent, limits: Limits) -> bool:
    said = False
    age_key = (event.time, event.source, event.id)
    for kind, values in event.groups.items():
        held = fragment.groups.setdefault(kind, {})
        for value in values:
            before = held.get(value)
            if before is None or age_key > before:
                held[value] = age_key
                said |= before is None
    _keep_newest(fragment.groups, limits.groups, lambda age_key: age_key)
    return said


def _keep_newest(
    nested: dict[str, dict[str, _Value]], limit: int, age_key: Callable[[_Value], tuple[Any, ...]]
) -> None:
    """Drop the oldest entries past the limit, and the groups that are empty then."""
    excess = sum(map(len, nested.values())) - limit
    if excess > 0:
        entries: Iterable[tuple[tuple[Any, ...], str, str]] = (
            (age_key(value), outer, inner) for outer, held in nested.items() for inner, value in held.items()
        )
        for _, outer, inner in sorted(entries)[:excess]:
            del nested[outer][inner]
    for outer in [outer for outer, held in nested.items() if not held]:
        del nested[outer]
