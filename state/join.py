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

import functools
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import cached_property
from itertools import islice
from operator import attrgetter
from typing import Final, TypeVar

import msgspec

from schemas.enrichment.names import with_derived
from schemas.identifiers import Identifier
from schemas.identity_policy import OTHER_KIND, Grade, Policy, Strength
from schemas.levels import ANONYMOUS, IDENTIFIED, RECOGNISED
from schemas.normalise import Patterns, unlinkable_patterns
from schemas.roles import ATTACHED, JOINED, SHARED
from state.former import Outdated
from state.fragment import Count, Fragment, Limits, RefRegister
from state.winners import (
    Contact,
    Fact,
    Group,
    Mention,
    Source,
    add_count,
    add_counts,
    add_days,
    last_contact,
    mention_key,
    newest_permissions,
    newest_refs,
    newest_traits,
    recent_contacts,
    united_groups,
)

_IDENTIFIER = attrgetter("identifier")
# Members of an enumeration are looked up at some cost, and these are once for each part of each customer.
_IDENTIFYING: Final = Strength.IDENTIFYING
_MEDIUM: Final = int(Strength.MEDIUM)
_LOGIN: Final = int(Grade.LOGIN)

TRUSTED_TRAITS: Final = with_derived(("email", "phone"))


class JoinRules(msgspec.Struct, frozen=True, dict=True):
    """What a join goes by beside the fragments."""

    policy: Policy
    #: Traits of which the best graded value is shown before the newest.
    trusted_traits: frozenset[str] = TRUSTED_TRAITS
    limits: Limits = Limits()

    def is_nobodys(self, identifier: Identifier) -> bool:
        """Whether the policy says that the identifier links nobody: many may use it, as a role mailbox."""
        patterns = self._unlinkable
        return patterns is not None and patterns.match(identifier.kind, identifier.value)

    @cached_property
    def _unlinkable(self) -> Patterns | None:
        return unlinkable_patterns(self.policy) if self.policy.unlinkable else None


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


class Bundle(msgspec.Struct, frozen=True):
    """Attached members of one kind that lie side by side in the order of identifiers, as one: see `state.bundle`.

    What they add up to is kept, so that a customer of thousands of members is joined in the time of some dozens.
    """

    kind: str
    #: All that they say and count, as if one fragment did; but `refs` and `trusted` are empty.
    content: Fragment
    #: What they refer to, the newest first.
    refs: tuple[tuple[tuple[str, str], RefRegister], ...]
    #: Those of them that say a trusted trait, or what one is derived from; and whether any holds one as trusted.
    trusting: tuple[Fragment, ...]
    holds_trusted: bool
    #: Those that may be shown: of what is shown, the first ones.
    shown: tuple[Part, ...]
    formers: tuple[Identifier, ...]
    settling: bool


class Joined(msgspec.Struct, gc=False):
    """What a context says, before it is written out. Mappings may be those of a fragment: read only."""

    settling: bool
    realm: str
    level: str
    strongest: str
    #: Those that are shown, the strongest kind first.
    identifiers: list[Part] = []
    #: Those whose grade is shown: the best graded value of each goes before the newest.
    trusted: frozenset[str] = frozenset()
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


def join(home: Part, members: Iterable[Part], rules: JoinRules, bundles: Sequence[Bundle] = ()) -> Joined:
    """One customer's fragments as one.

    Args:
        home: the one whose id is the customer's.
        members: those besides the home, in any order.
        rules: what it goes by.
        bundles: further attached members, in the order of their identifiers; then none of `members` is attached. It
            makes no difference to what is said.
    """
    return together(home, members, rules, bundles) if members or bundles else alone(home, rules)


def alone(home: Part, rules: JoinRules) -> Joined:
    """A customer of one fragment, as most are: what `together` says of it, with nothing to compare or to add up."""
    identifier, content, limits = home.identifier, home.content, rules.limits
    kind = rules.policy.kind(identifier.kind)
    joined = Joined(
        settling=False,
        realm=identifier.realm,
        level=SHARED if home.role == SHARED else _level([home], rules.policy),
        strongest=OTHER_KIND if kind.hidden else identifier.kind,
        trusted=rules.trusted_traits,
    )
    _count(joined, [content], limits)
    if home.role == SHARED:
        return joined
    sources: list[Source] = [(content, None)]
    if limits.identifiers and not kind.hidden:
        joined.identifiers = [home]
    if content.trusted or home.former:
        joined.traits = _traits(sources, [], rules, [identifier] if home.former else [], ())
    else:
        joined.traits = _newest_facts(newest_traits(sources), limits.traits)
    if content.permissions:
        joined.permissions = _newest_facts(newest_permissions(sources), limits.permissions)
    if content.refs:
        joined.refs = sorted(newest_refs(sources).values(), key=mention_key, reverse=True)[: limits.refs]
    if content.groups:
        joined.groups = _newest_groups(united_groups(sources), limits.groups)
    joined.recent = recent_contacts(sources, limits.recent)
    joined.last_in = last_contact(sources, "in")
    joined.last_out = last_contact(sources, "out")
    return joined


def together(home: Part, members: Iterable[Part], rules: JoinRules, bundles: Sequence[Bundle]) -> Joined:
    """A customer of any number of fragments."""
    resting: list[Part] = [home]
    attached: list[Part] = []
    settling = False
    for part in sorted(members, key=_IDENTIFIER):
        (attached if part.role == ATTACHED else resting).append(part)
        settling |= part.settling
    for bundle in bundles:
        settling |= bundle.settling
    shared = home.role == SHARED
    joined = Joined(
        settling=settling,
        realm=home.identifier.realm,
        level=SHARED if shared else _level(resting, rules.policy),
        strongest=_strongest(
            [part.identifier.kind for part in resting],
            [part.identifier.kind for part in attached] + [bundle.kind for bundle in bundles],
            rules.policy,
        ),
        trusted=rules.trusted_traits,
    )
    contents = [part.content for part in (*resting, *attached)] + [bundle.content for bundle in bundles]
    _count(joined, contents, rules.limits)
    if not shared:
        _tell(joined, resting, attached, rules, bundles)
    return joined


def _tell(
    joined: Joined, resting: list[Part], attached: list[Part], rules: JoinRules, bundles: Sequence[Bundle]
) -> None:
    """What is shown of an identifier that is somebody's."""
    limits = rules.limits
    joined.identifiers = _identifiers([*resting, *attached, *_leading(bundles, limits.identifiers)], rules)
    sources: list[Source] = [(part.content, None) for part in resting]
    sources_attached: list[Source] = [
        (part.content, _shown_kind(part.identifier.kind, rules.policy)) for part in attached
    ]
    sources_attached += [(bundle.content, _shown_kind(bundle.kind, rules.policy)) for bundle in bundles]
    formers = [part.identifier for part in (*resting, *attached) if part.former]
    formers += [former for bundle in bundles for former in bundle.formers]
    joined.traits = _traits(sources, sources_attached, rules, formers, bundles)
    every = sources + sources_attached
    # Most customers have told none of these.
    if [content for content, _ in every if content.permissions]:
        permissions = newest_permissions(sources_attached) | newest_permissions(sources)
        joined.permissions = _newest_facts(permissions, limits.permissions)
    if [content.refs for content, _ in every if content.refs] or bundles:
        refs = newest_refs(sources)
        refs = newest_refs(sources_attached) | _bundled_refs(bundles, refs, rules) | refs
        joined.refs = sorted(refs.values(), key=mention_key, reverse=True)[: limits.refs]
    if [content for content, _ in every if content.groups]:
        joined.groups = _newest_groups(united_groups(sources_attached) | united_groups(sources), limits.groups)
    joined.recent = recent_contacts(every, limits.recent)
    joined.last_in = last_contact(every, "in")
    joined.last_out = last_contact(every, "out")


def _level(resting: list[Part], policy: Policy) -> str:
    level = ANONYMOUS
    for part in resting:
        strength = policy.kind(part.identifier.kind).strength
        if strength is _IDENTIFYING and (part.grade >= _LOGIN or part.role == JOINED):
            return IDENTIFIED
        if strength >= _MEDIUM:
            level = RECOGNISED
    return level


def _strongest(resting: Iterable[str], attached: Iterable[str], policy: Policy) -> str:
    """The strongest kind that may be shown among those that the customer rests on, else among the attached ones."""
    for kinds in (resting, attached):
        strongest = ""
        for kind in kinds:
            if kind == strongest or policy.kind(kind).hidden:
                continue
            if not strongest or (policy.position(kind), kind) < (policy.position(strongest), strongest):
                strongest = kind
        if strongest:
            return strongest
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


def _leading(bundles: Sequence[Bundle], limit: int) -> Iterator[Part]:
    """Of each kind the first so many, and of former ones again: no other can be among those that are shown."""
    left: dict[tuple[str, bool], int] = {}
    for bundle in bundles:
        for part in bundle.shown:
            room = left.get((bundle.kind, part.former), limit)
            if room:
                left[bundle.kind, part.former] = room - 1
                yield part


def _bundled_refs(
    bundles: Sequence[Bundle], said: Mapping[tuple[str, str], Mention], rules: JoinRules
) -> dict[tuple[str, str], Mention]:
    """Of each bundle the newest that nobody else says: no other can be among those that are shown."""
    mentions: dict[tuple[str, str], Mention] = {}
    for bundle in bundles:
        via = _shown_kind(bundle.kind, rules.policy)
        further = ((name, register) for name, register in bundle.refs if name not in said)
        for name, register in islice(further, rules.limits.refs):
            held = mentions.get(name)
            if held is None or register.age_key > held.register.age_key:
                mentions[name] = Mention(*name, register, via)
    return mentions


def _traits(
    resting: list[Source],
    attached: list[Source],
    rules: JoinRules,
    formers: list[Identifier],
    bundles: Sequence[Bundle],
) -> dict[str, Fact]:
    outdated = Outdated(formers, rules.policy) if formers else None
    facts = newest_traits(resting)
    if attached:
        facts = newest_traits(attached) | facts
    facts = _newest_facts(facts, rules.limits.traits)
    trusted = [content for content, _ in (*resting, *attached) if content.trusted]
    if outdated is not None or trusted or any(bundle.holds_trusted for bundle in bundles):
        if bundles:
            attached = [
                (content, _shown_kind(bundle.kind, rules.policy)) for bundle in bundles for content in bundle.trusting
            ]
        for name in rules.trusted_traits:
            fact = _trusted(name, resting, outdated) or _trusted(name, attached, outdated)
            if fact is not None:
                facts[name] = fact
    return facts


def _trusted(name: str, sources: list[Source], outdated: Outdated | None) -> Fact | None:
    """The best graded value of a trait, and the newest one where that is another; None if nobody says any.

    Values that are outdated count only where there are no others.
    """
    said: list[Fact] = []
    for content, via in sources:
        newest_register = content.traits.get(name)
        if newest_register is not None:
            said.append(Fact(newest_register, via))
        best_register = content.trusted_register(name)
        if best_register is not None and best_register is not newest_register:
            said.append(Fact(best_register, via))
    if not said:
        return None
    if outdated is not None:
        contents = [content for content, _ in sources]
        said = [fact for fact in said if not outdated.says(name, fact.register, contents)] or said
    if len(said) == 1:
        return said[0]
    newest = max(said, key=lambda fact: fact.register.age_key)
    best = max(said, key=lambda fact: fact.register.trust_key)
    return best if newest.register.value == best.register.value else Fact(best.register, best.via, newest)


_Name = TypeVar("_Name", str, tuple[str, str])


def _newest_facts(facts: dict[_Name, Fact], limit: int) -> dict[_Name, Fact]:
    if len(facts) <= limit:
        return facts
    kept = sorted(facts, key=lambda name: (facts[name].register.age_key, name), reverse=True)[:limit]
    return {name: facts[name] for name in kept}


def _newest_groups(groups: dict[str, Group], limit: int) -> dict[str, Group]:
    entries = [(age_key, kind, value) for kind, group in groups.items() for value, age_key in group.values.items()]
    if len(entries) <= limit:
        return groups
    newest: dict[str, Group] = {}
    for age_key, kind, value in sorted(entries, reverse=True)[:limit]:
        newest.setdefault(kind, Group({}, groups[kind].via)).values[value] = age_key
    return newest


def _count(joined: Joined, contents: list[Fragment], limits: Limits) -> None:
    """Counts add up, since an event is folded into one fragment only."""
    if len(contents) == 1:
        (content,) = contents
        joined.total = content.total
        joined.channels, joined.types, joined.days = content.channels, content.types, content.days
    else:
        totals = [content.total for content in contents if content.total is not None]
        joined.total = functools.reduce(add_count, totals) if totals else None
        joined.channels = add_counts([content.channels for content in contents])
        joined.types = add_counts([content.types for content in contents])
        joined.days = add_days([content.days for content in contents])
    if len(joined.types) > limits.types:
        joined.types = {name: joined.types[name] for name in sorted(joined.types)[: limits.types]}
    if len(joined.days) > limits.days:
        joined.days = {day: joined.days[day] for day in sorted(joined.days, reverse=True)[: limits.days]}
