"""What a policy may not say: settings that can't both be meant, that do nothing, or that leave nothing to go by."""

from collections.abc import Iterator
from typing import Final

from schemas.identity_policy import Case, Extension, Kind, LookAlikes, Normaliser, Policy, Strength
from schemas.normalise import is_kind_name, normalise

_TEXTS: Final = (Normaliser.TEXT, Normaliser.TRIM, Normaliser.PLATFORM)
_LETTERS: Final = (*_TEXTS, Normaliser.EMAIL)


def contradictions(policy: Policy) -> Iterator[str]:
    """Each of them in a sentence: where it stands, what is wrong, and what to do."""
    yield from _order(policy.kinds)
    for kind in policy.kinds:
        for key, wrong in (*_strength(kind), *_values(kind)):
            yield f"kinds.{kind.name}.{key}: {wrong}"
    if all(kind.hidden or not kind.enabled or kind.strength is Strength.NONE for kind in policy.kinds):
        yield "kinds: no kind is left by which events could be routed; enable one that is not hidden"
    yield from _lists(policy)


def _order(kinds: tuple[Kind, ...]) -> Iterator[str]:
    named: set[str] = set()
    weakest = Strength.IDENTIFYING
    for kind in kinds:
        if not is_kind_name(kind.name):
            yield (
                f"kinds.{kind.name}.name: a kind is named by a lower-case letter, then letters, digits, `_`, `.` or "
                "`-`, 32 characters in all"
            )
        if kind.name in named:
            yield f"kinds.{kind.name}: a kind is named twice; leave one of them out"
        if kind.strength > weakest:
            yield (
                f"kinds.{kind.name}.strength: kinds stand in the order of their strength (identifying, medium, weak, "
                f"none); move it up, before those that are {weakest.name.lower()}"
            )
        named.add(kind.name)
        weakest = min(weakest, kind.strength)


def _strength(kind: Kind) -> Iterator[tuple[str, str]]:
    """What does not go with how much the kind says."""
    word = kind.strength.name.lower()
    if kind.unique and kind.strength is not Strength.IDENTIFYING:
        yield "unique", f"only identifying kinds join, so a {word} one can't be unique; leave it out"
    for key, limit in (("shared_from", kind.shared_from), ("claimed_from", kind.claimed_from)):
        if limit < 0:
            yield key, f"{limit} is less than 0; give the number of neighbours past which it is shared, 0 for no limit"
        elif limit and kind.strength is Strength.NONE:
            yield key, "a kind of strength none has no neighbours; leave it out"
    if kind.claimed_from and kind.strength in {Strength.MEDIUM, Strength.WEAK}:
        yield "claimed_from", f"it is for identifying kinds, and this one is {word}; shared_from limits its claims"
    if kind.hidden and kind.strength in {Strength.WEAK, Strength.NONE}:
        yield "hidden", f"a {word} kind that is never shown tells nobody anything; set `enabled: false` instead"
    if kind.group and kind.strength is not Strength.NONE:
        yield "group", f"a group is shown and links nobody, so its strength is none, not {word}"
    if kind.namespaced and kind.strength is Strength.NONE:
        yield "namespaced", "a kind of strength none is no identifier, so it has no namespace; leave it out"


def _values(kind: Kind) -> Iterator[tuple[str, str]]:
    """Rules for values that the kind's normaliser does not read."""
    rules = (
        ("plus", bool(kind.plus), (Normaliser.EMAIL,)),
        ("dots", bool(kind.dots), (Normaliser.EMAIL,)),
        ("extension", kind.extension is not Extension.DROP, (Normaliser.PHONE,)),
        ("case", kind.case is not Case.KEEP, _TEXTS),
        ("look_alikes", kind.look_alikes is not LookAlikes.KEEP, _LETTERS),
    )
    for key, is_set, normalisers in rules:
        if is_set and kind.normaliser not in normalisers:
            yield (
                key,
                f"it is for normaliser {' or '.join(normalisers)}, and this one is {kind.normaliser}; leave it out",
            )


def _lists(policy: Policy) -> Iterator[str]:
    for key, entries in (("drop", policy.drop), ("unlinkable", policy.unlinkable)):
        for entry in entries:
            if entry.strip() == "*":
                yield f"{key}: `*` names everything; name the values, or a kind with `kind:*`"
    for entry in policy.unlinkable:
        name, colon, value = entry.partition(":")
        if not entry.strip() or (colon and not value.strip()):
            yield f"unlinkable: {entry!r} names no value; write `kind:value`, such as email:info@example.com"
        elif colon and "*" not in value and is_kind_name(name) and _names_nothing(policy, name, value):
            yield f"unlinkable: {entry!r} can be no {name}, so it would never match; write it as events do, or with `*`"
    if policy.phone_region and not _is_region(policy.phone_region):
        yield f"phone_region: {policy.phone_region!r} is no country; write its two capital letters, such as NL"


def _names_nothing(policy: Policy, name: str, value: str) -> bool:
    kind = policy.kind(name)
    known = any(each.name == name for each in policy.kinds)
    return known and kind.strength is not Strength.NONE and normalise(kind, value, policy) is None


def _is_region(region: str) -> bool:
    # The library takes a while to load, and most policies name no region.
    import phonenumbers

    return region in phonenumbers.SUPPORTED_REGIONS
