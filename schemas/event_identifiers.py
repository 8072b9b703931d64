"""The identifiers that an event names, made comparable and into what travels: its subject's own, and others of orders.

Hashing and sealing one costs more than all the rest of an event, so what was resolved is kept: most events name an
identifier that came a moment ago.
"""

from collections.abc import Iterator, Mapping
from functools import lru_cache
from typing import Final, NamedTuple

from schemas.errors import DeadCode, EventError
from schemas.event_data import Named
from schemas.identifiers import Identifier
from schemas.identity_policy import Kind, Policy, Strength
from schemas.keys import Keyring
from schemas.limits import IDENTIFIERS_MAX
from schemas.messages import SealedIdentifier
from schemas.normalise import identify, is_kind_name, trim, unlinkable_patterns
from schemas.sources import Source
from schemas.strict_json import pointer_to

#: About 1 KB each.
CACHED_IDENTIFIERS_MAX: Final = 50_000
_CACHED_KINDS_MAX: Final = 1024


class Known(NamedTuple):
    """An identifier, resolved: its place in the order of routing, and itself as it travels."""

    order: tuple[int, Identifier]
    sealed: SealedIdentifier
    routes: bool
    links: bool


#: One value that an event gives: its kind; its place in a list, None where it stands alone; and what it comes to: an
#: identifier, a group's value, or None where it is none. A plain tuple, since every event makes some.
GivenValue = tuple[Kind, int | None, Known | str | None]


class EventIdentifiers:
    """Reads the identifiers of events under one policy."""

    def __init__(
        self, policy: Policy, keyring: Keyring, *, cached_identifiers_max: int = CACHED_IDENTIFIERS_MAX
    ) -> None:
        self._policy = policy
        self._keyring = keyring
        self._unlinkable = unlinkable_patterns(policy)
        # Kinds that the policy does not name are neither hidden nor off.
        self._concealed = frozenset(kind.name for kind in policy.kinds if kind.hidden or not kind.enabled)
        self._kind_of = lru_cache(maxsize=_CACHED_KINDS_MAX)(self._find_kind)
        self._resolve = lru_cache(maxsize=cached_identifiers_max)(self._make_known)

    def values(self, given: Mapping[str, Named], source: Source, pointer: str) -> Iterator[GivenValue]:
        """Each value but those that are null.

        Args:
            given: Kind to value or values.
            source: Says realm and namespace.
            pointer: Where they stand in the event.

        Raises:
            EventError: more than `IDENTIFIERS_MAX`, one that is too long, or a kind that can't be called so.
        """
        count = 0
        for name, one_or_several in given.items():
            if one_or_several is None:
                continue
            values = one_or_several if isinstance(one_or_several, list) else (one_or_several,)
            count += len(values)
            if count > IDENTIFIERS_MAX:
                raise EventError(DeadCode.TOO_MANY_IDENTIFIERS, f"more than {IDENTIFIERS_MAX} identifiers", pointer)
            place = None
            try:
                kind = self._kind_of(name)
                for number, value in enumerate(values):
                    if value is None:
                        continue
                    if values is one_or_several:
                        place = number
                    # Trimmed beforehand, so that the cache holds no long texts; a kind that is off bounds nothing.
                    text = trim(str(value)) if kind.enabled else ""
                    yield kind, place, self._resolve(name, text, source.realm, source.namespace)
            except EventError as error:
                raise EventError(error.code, error.message, value_pointer(pointer, name, place)) from None

    @property
    def concealed_kinds(self) -> frozenset[str]:
        """The kinds that may not be shown to anybody."""
        return self._concealed

    def resolve(self, name: str, value: str, realm: str, namespace: str) -> Known | str | None:
        """What a value of a kind comes to, as `values` says it; nothing is kept of it.

        Raises:
            EventError: it is too long, or a kind can't be called so.
        """
        return self._make_known(name, trim(value) if self._kind_of(name).enabled else "", realm, namespace)

    def concealed(self, given: Mapping[str, Named]) -> list[str]:
        """The kinds among those given that may not be shown to anybody; `values` has read them before."""
        if self._concealed.isdisjoint(given):
            return []
        return [name for name, value in given.items() if value is not None and name in self._concealed]

    def _find_kind(self, name: str) -> Kind:
        if not is_kind_name(name):
            message = "a kind is a lower-case letter, then letters, digits, `_`, `.` or `-`, 32 characters in all"
            raise EventError(DeadCode.WRONG_ATTRIBUTE, message)
        return self._policy.kind(name)

    def _make_known(self, name: str, value: str, realm: str, namespace: str) -> Known | str | None:
        """The identifier ready to travel, the value of a group, or None where it is unusable."""
        kind = self._kind_of(name)
        if not kind.enabled:
            return None
        identifier = identify(kind, value, self._policy, realm, namespace)
        if identifier is None:
            return None
        if kind.strength is Strength.NONE:
            return identifier.value if kind.group else None
        fragment, sealed = self._keyring.conceal(identifier)
        return Known(
            order=(self._policy.position(name), identifier),
            sealed=SealedIdentifier(fragment, name, sealed),
            routes=not kind.hidden,
            links=not self._unlinkable.match(name, identifier.value),
        )


def value_pointer(pointer: str, name: str, place: int | None) -> str:
    """The JSON pointer of a value below that of the mapping in which it stands."""
    named = pointer_to(pointer, name)
    return named if place is None else pointer_to(named, place)
