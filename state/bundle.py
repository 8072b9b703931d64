"""Makes one of many attached members, once for many joins.

Whatever a join takes from a bundle it would take from the members one by one: counts add up, the newest wins in the
same order, and what is left out here can't be among what is shown. So a join over bundles equals that over members.
"""

import functools
from collections.abc import Sequence

from schemas.enrichment.names import DERIVED
from state.fragment import Fragment
from state.join import Bundle, JoinRules, Part
from state.winners import (
    Source,
    add_count,
    add_counts,
    add_days,
    last_contact,
    mention_key,
    newest_contacts,
    newest_permissions,
    newest_refs,
    newest_traits,
    united_groups,
)


def bundle(parts: Sequence[Part], rules: JoinRules) -> Bundle:
    """The attached parts as one. They are of one kind, sorted by their identifiers; at least one."""
    contents = [part.content for part in parts]
    sources: list[Source] = [(content, None) for content in contents]
    limits = rules.limits
    permissions = newest_permissions(sources)
    days = add_days(content.days for content in contents)
    totals = [content.total for content in contents if content.total is not None]
    ways = ((way, last_contact(sources, way)) for way in ("in", "out"))
    united = Fragment(
        grade=max(content.grade for content in contents),
        total=functools.reduce(add_count, totals) if totals else None,
        traits={name: fact.register for name, fact in newest_traits(sources).items()},
        permissions={
            channel: {purpose: fact.register for (other, purpose), fact in permissions.items() if other == channel}
            for channel in dict.fromkeys(channel for channel, _ in permissions)
        },
        channels=add_counts(content.channels for content in contents),
        types=add_counts(content.types for content in contents),
        # Of a day that is not among the newest here, so many are newer that it isn't shown.
        days={day: days[day] for day in sorted(days, reverse=True)[: limits.days]},
        groups={kind: group.values for kind, group in united_groups(sources).items()},
        last={way: contact.touch for way, contact in ways if contact is not None},
        recent=[contact.touch for contact in newest_contacts(sources, limits.recent)],
    )
    kind = parts[0].identifier.kind
    mentions = sorted(newest_refs(sources).values(), key=mention_key, reverse=True)
    trusted = rules.trusted_traits | DERIVED.keys()
    return Bundle(
        kind=kind,
        content=united,
        refs=tuple(((mention.kind, mention.id), mention.register) for mention in mentions),
        trusting=tuple(
            content
            for content in contents
            if not trusted.isdisjoint(content.traits) or not trusted.isdisjoint(content.trusted)
        ),
        holds_trusted=any(content.trusted for content in contents),
        shown=() if rules.policy.kind(kind).hidden else _leading(parts, limits.identifiers),
        formers=tuple(part.identifier for part in parts if part.former),
        settling=any(part.settling for part in parts),
    )


def _leading(parts: Sequence[Part], limit: int) -> tuple[Part, ...]:
    """The first ones, and the first of those that are former."""
    current = [part for part in parts if not part.former][:limit]
    return (*current, *[part for part in parts if part.former][:limit])
