"""Trait values that are out of date: they are identifiers which another one of the customer has replaced."""

from collections.abc import Iterable
from typing import Any, Final

import msgspec

from schemas.enrichment.names import DERIVED
from schemas.identifiers import Identifier
from schemas.identity_policy import Policy
from schemas.normalise import normalise
from state.fragment import Fragment, Register

#: Derived trait to the trait that it is derived from, by the same event.
_ORIGINS: Final = {derived: origin for origin, names in DERIVED.items() for derived in names}


class Outdated:
    """The former identifiers of one customer, as what a trait of their kind may say."""

    def __init__(self, formers: Iterable[Identifier], policy: Policy) -> None:
        self._policy = policy
        self._values = {(former.kind, former.value) for former in formers}

    def says(self, name: str, register: Register, contents: Iterable[Fragment]) -> bool:
        """Whether the register of a trait says a former identifier, or was derived from one that does.

        `contents` are the fragments in which the trait that it is derived from is looked up.
        """
        origin = _ORIGINS.get(name)
        if origin is None:
            return self._is_former(name, register)
        return any(
            self._is_former(origin, other)
            for content in contents
            for other in (content.traits.get(origin), content.trusted_register(origin))
            if other is not None and other.age_key == register.age_key
        )

    def _is_former(self, kind: str, register: Register) -> bool:
        # A trait tells an identifier where it is called as its kind: `email`, `phone`.
        if all(kind != former for former, _ in self._values):
            return False
        value: Any = msgspec.json.decode(register.value)
        if not isinstance(value, (str, int)):
            return False
        return (kind, normalise(self._policy.kind(kind), str(value), self._policy)) in self._values
