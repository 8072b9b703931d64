"""The join: the fragments of one customer into what its context says.

The customer rests on its home and its joined members. Attached ones add their counts and recent interactions; what
they say of the customer itself (traits, permissions, refs, groups) fills in only where no resting member says
anything, and carries `via`, the kind of the member. Members are taken in the order of their identifiers and only a
strictly greater register wins, so the join is commutative even where one event went to two fragments.

A trusted trait whose value is an identifier that another has replaced (a former e-mail) is shown only where nobody says
another value: what is known to have changed is no contact point, however well it was known once.

`join` gives a `Joined`, which refers to registers; `state.context.document` writes it out, and
`state.context.changes` compares two of them.
"""

from collections.abc import Iterable
from operator import attrgetter
from typing import Any, Final, TypeVar

import msgspec

from schemas.enrichment.names import with_derived
from schemas.identifiers import Identifier
from schemas.identity_policy import OTHER_KIND, Grade, Policy, Strength
from schemas.levels import ANONYMOUS, IDENTIFIED, RECOGNISED
from schemas.roles import ATTACHED, JOINED, SHARED
from state.former import Outdated
from state.fragment import WITHDRAWN, Count, Fragment, Limits, RefRegister, Register, Touch

TRUSTED_TRAITS: Final = with_derived(("email", "phone"))

_JSON = msgspec.json.Encoder()

# Where a register comes from: a fragment, and its kind where it is attached.
_Source = tuple[Fragment, str | None]


class JoinRules(msgspec.Struct, frozen=True):
    """What a join goes by beside the fragments."""

    policy: Policy
    #: Traits of which the best graded value is shown before the newest.
    trusted_traits: frozenset[str] = TRUSTED_TRAITS
    limits: Limits = Limits()


class Part(msgspec.Struct, frozen=True, gc=False):
    """One fragment of a customer."""

    identifier: Identifier
    role: str
    grade: int
    #: First and last sight by identity, in microseconds.
    first: int | None
    last: int | None
    content: Fragment
    #: Whether the snapshot that belongs to its present place is still on the way.
    settling: bool = False
    #: Whether another identifier of the customer has replaced it.
    former: bool = False


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


class Joined(msgspec.Struct):
    """What a context says, before it is written out. Mappings may be those of a fragment: read only."""

    settling: bool
    realm: str
    level: str
    strongest: str
    #: Those that are shown, the strongest kind first.
    identifiers: list[Part] = []
    #: Withdrawn traits are among them.
    traits: dict[str, Fact] = {}
    permissions: dict[tuple[str, str], Fact] = {}
    #: Newest first.
    refs: list[Mention] = []
    #: kind -> values, and the kind of the member where only attached ones say so.
    groups: dict[str, Group] = {}
    total: Count | None = None
    channels: dict[str, Count] = {}
    types: dict[str, Count] = {}
    days: dict[str, dict[str, int]] = {}
    last_in: Contact | None = None
    last_out: Contact | None = None
    #: Newest first, as JSON.
    recent: list[msgspec.Raw] = []


def join(home: Part, members: Iterable[Part], rules: JoinRules) -> Joined:
    """One customer's fragments as one; `members` are those besides the home, in any order."""
    resting: list[Part] = [home]
    attached: list[Part] = []
    others = sorted(members, key=attrgetter("identifier"))
    for part in others:
        (attached if part.role == ATTACHED else resting).append(part)
    parts = [*resting, *attached]
    shared = home.role == SHARED
    joined = Joined(
        settling=any(part.settling for part in others),
        realm=home.identifier.realm,
        level=SHARED if shared else _level(resting, rules.policy),
        strongest=_strongest(resting, attached, rules.policy),
    )
    _count(joined, [part.content for part in parts], rules.limits)
    if not shared:
        _tell(joined, resting, attached, rules)
    return joined


def _tell(joined: Joined, resting: list[Part], attached: list[Part], rules: JoinRules) -> None:
    """What is shown of an identifier that is somebody's."""
    limits = rules.limits
    joined.identifiers = _identifiers([*resting, *attached], rules)
    sources: list[_Source] = [(part.content, None) for part in resting]
    sources_attached: list[_Source] = [
        (part.content, _shown_kind(part.identifier.kind, rules.policy)) for part in attached
    ]
    formers = [part.identifier for part in (*resting, *attached) if part.former]
    outdated = Outdated(formers, rules.policy) if formers else None
    joined.traits = _traits(sources, sources_attached, rules, outdated)
    joined.permissions = _permissions(sources)
    refs = _refs(sources)
    joined.groups = _groups(sources)
    if attached:
        joined.permissions = _permissions(sources_attached) | joined.permissions
        refs = _refs(sources_attached) | refs
        joined.groups = _groups(sources_attached) | joined.groups
        sources += sources_attached
    joined.permissions = _newest_facts(joined.permissions, limits.permissions)
    joined.refs = sorted(refs.values(), key=_mention_key, reverse=True)[: limits.refs]
    joined.groups = _newest_groups(joined.groups, limits.groups)
    joined.recent = _recent(sources, limits.recent)
    joined.last_in = _last(sources, "in")
    joined.last_out = _last(sources, "out")


def _level(resting: list[Part], policy: Policy) -> str:
    level = ANONYMOUS
    for part in resting:
        strength = policy.kind(part.identifier.kind).strength
        if strength is Strength.IDENTIFYING and (part.role == JOINED or part.grade >= Grade.LOGIN):
            return IDENTIFIED
        if strength >= Strength.MEDIUM:
            level = RECOGNISED
    return level


def _strongest(resting: list[Part], attached: list[Part], policy: Policy) -> str:
    """The strongest kind that may be shown among those that the customer rests on, else among the attached ones."""
    for parts in (resting, attached):
        shown = {part.identifier.kind for part in parts if not policy.kind(part.identifier.kind).hidden}
        if len(shown) == 1:
            return shown.pop()
        if shown:
            return min(shown, key=lambda kind: (policy.position(kind), kind))
    return OTHER_KIND


def _shown_kind(kind: str, policy: Policy) -> str:
    """The kind, or the word for any where nobody is to know that there is one of this kind."""
    return OTHER_KIND if policy.kind(kind).hidden else kind


def _identifiers(parts: list[Part], rules: JoinRules) -> list[Part]:
    policy = rules.policy
    shown = [part for part in parts if not policy.kind(part.identifier.kind).hidden]
    if len(shown) > 1:
        # Of one kind, those that hold come first.
        shown.sort(key=lambda part: (policy.position(part.identifier.kind), part.former, part.identifier))
    return shown[: rules.limits.identifiers]


def _traits(
    resting: list[_Source], attached: list[_Source], rules: JoinRules, outdated: Outdated | None
) -> dict[str, Fact]:
    facts = _newest_traits(resting)
    if attached:
        facts = _newest_traits(attached) | facts
    facts = _newest_facts(facts, rules.limits.traits)
    if outdated is not None or any(content.trusted for content, _ in (*resting, *attached)):
        for name in rules.trusted_traits:
            fact = _trusted(name, resting, outdated) or _trusted(name, attached, outdated)
            if fact is not None:
                facts[name] = fact
    return facts


def _newest_traits(sources: list[_Source]) -> dict[str, Fact]:
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


def _trusted(name: str, sources: list[_Source], outdated: Outdated | None) -> Fact | None:
    """The best graded value of a trait, and the newest one where that is another; None if nobody says any.

    Values that are outdated count only where there are no others.
    """
    said = [
        Fact(register, via)
        for content, via in sources
        for register in (content.traits.get(name), content.trusted_register(name))
        if register is not None
    ]
    if not said:
        return None
    if outdated is not None:
        contents = [content for content, _ in sources]
        said = [fact for fact in said if not outdated.says(name, fact.register, contents)] or said
    newest = max(said, key=lambda fact: fact.register.age_key)
    best = max(said, key=lambda fact: fact.register.trust_key)
    return best if newest.register.value == best.register.value else Fact(best.register, best.via, newest)


def _permissions(sources: list[_Source]) -> dict[tuple[str, str], Fact]:
    facts: dict[tuple[str, str], Fact] = {}
    for content, via in sources:
        for channel, purposes in content.permissions.items():
            for purpose, register in purposes.items():
                held = facts.get((channel, purpose))
                if held is None or register.age_key > held.register.age_key:
                    facts[channel, purpose] = Fact(register, via)
    return facts


_Name = TypeVar("_Name", str, tuple[str, str])


def _newest_facts(facts: dict[_Name, Fact], limit: int) -> dict[_Name, Fact]:
    if len(facts) <= limit:
        return facts
    kept = sorted(facts, key=lambda name: (facts[name].register.age_key, name), reverse=True)[:limit]
    return {name: facts[name] for name in kept}


def _refs(sources: list[_Source]) -> dict[tuple[str, str], Mention]:
    mentions: dict[tuple[str, str], Mention] = {}
    for content, via in sources:
        for kind, ids in content.refs.items():
            for ref, register in ids.items():
                held = mentions.get((kind, ref))
                if held is None or register.age_key > held.register.age_key:
                    mentions[kind, ref] = Mention(kind, ref, register, via)
    return mentions


def _mention_key(mention: Mention) -> tuple[Any, ...]:
    return (mention.register.age_key, mention.kind, mention.id)


def _groups(sources: list[_Source]) -> dict[str, Group]:
    groups: dict[str, Group] = {}
    for content, via in sources:
        for kind, values in content.groups.items():
            held = groups.setdefault(kind, Group({}, via)).values
            for value, age_key in values.items():
                held[value] = max(age_key, held.get(value, age_key))
    return groups


def _newest_groups(groups: dict[str, Group], limit: int) -> dict[str, Group]:
    entries = [(age_key, kind, value) for kind, group in groups.items() for value, age_key in group.values.items()]
    if len(entries) <= limit:
        return groups
    newest: dict[str, Group] = {}
    for age_key, kind, value in sorted(entries, reverse=True)[:limit]:
        newest.setdefault(kind, Group({}, groups[kind].via)).values[value] = age_key
    return newest


def _recent(sources: list[_Source], limit: int) -> list[msgspec.Raw]:
    if len(sources) == 1:
        content, _ = sources[0]
        return [msgspec.Raw(touch.shown) for touch in content.recent[:limit]]
    contacts = [Contact(touch, via) for content, via in sources for touch in content.recent]
    distinct = len({contact.touch.time for contact in contacts}) == len(contacts)
    # The whole key costs a look into the JSON, and times alone nearly always tell.
    contacts.sort(key=_contact_time if distinct else _contact_key, reverse=True)
    return [_shown(contact) for contact in contacts[:limit]]


def _shown(contact: Contact) -> msgspec.Raw:
    shown = contact.touch.shown
    if contact.via is None:
        return msgspec.Raw(shown)
    return msgspec.Raw(b"%b,%b" % (shown[:-1], _JSON.encode({"via": contact.via})[1:]))


def _contact_time(contact: Contact) -> int:
    return contact.touch.time


def _contact_key(contact: Contact) -> tuple[int, str, str]:
    return contact.touch.age_key


def _last(sources: list[_Source], direction: str) -> Contact | None:
    last: Contact | None = None
    for content, via in sources:
        touch = content.last_touch(direction)
        if touch is None:
            continue
        newer = last is None or touch.time > last.touch.time
        if newer or (last is not None and touch.time == last.touch.time and touch.age_key > last.touch.age_key):
            last = Contact(touch, via)
    return last


def _count(joined: Joined, contents: list[Fragment], limits: Limits) -> None:
    """Counts add up, since an event is folded into one fragment only."""
    if len(contents) == 1:
        (content,) = contents
        joined.total, joined.channels = content.total, content.channels
        joined.types, joined.days = content.types, content.days
    else:
        joined.total = _add({"": content.total} for content in contents if content.total is not None).get("")
        joined.channels = _add(content.channels for content in contents)
        joined.types = _add(content.types for content in contents)
        joined.days = _add_days(content.days for content in contents)
    if len(joined.types) > limits.types:
        joined.types = {name: joined.types[name] for name in sorted(joined.types)[: limits.types]}
    if len(joined.days) > limits.days:
        joined.days = {day: joined.days[day] for day in sorted(joined.days, reverse=True)[: limits.days]}


def _add_days(tallies: Iterable[dict[str, dict[str, int]]]) -> dict[str, dict[str, int]]:
    added: dict[str, dict[str, int]] = {}
    for days in tallies:
        for day, channels in days.items():
            held = added.setdefault(day, {})
            for channel, count in channels.items():
                held[channel] = held.get(channel, 0) + count
    return added


def _add(tallies: Iterable[dict[str, Count]]) -> dict[str, Count]:
    added: dict[str, Count] = {}
    for tally in tallies:
        for name, count in tally.items():
            held = added.get(name)
            if held is None:
                added[name] = Count(count.count, count.first, count.last)
            else:
                held.count += count.count
                held.first = min(held.first, count.first)
                held.last = max(held.last, count.last)
    return added


def is_withdrawn(fact: Fact) -> bool:
    """Whether a trait was taken back, so that it hides instead of showing."""
    return fact.register.value == WITHDRAWN
