"""The order of kinds: who looks at whom, which kinds may join, which values exclude each other."""

from typing import TypeAlias

from schemas.identifiers import Identifier
from schemas.identity_policy import Kind, Policy, Strength

#: Less is stronger. Unknown kinds share a position, so their names order them.
Rank: TypeAlias = tuple[int, str]


class KindOrder:
    """What the rules ask of the policy about kinds."""

    def __init__(self, policy: Policy) -> None:
        self._policy = policy
        self._kinds = {kind.name: kind for kind in policy.kinds}
        self._ranks: dict[str, Rank] = {name: (policy.position(name), name) for name in self._kinds}
        self._identifying = {kind.name for kind in policy.kinds if kind.strength is Strength.IDENTIFYING}

    def rank(self, name: str) -> Rank:
        """The kind's place, the strongest first."""
        return self._ranks.get(name) or (self._policy.position(name), name)

    def kind(self, name: str) -> Kind:
        """What the policy says of the kind."""
        return self._kinds.get(name) or self._policy.kind(name)

    def identifying(self, name: str) -> bool:
        """Whether links between identifiers of the kind may join customers."""
        return name in self._identifying

    def telling(self, name: str) -> bool:
        """Whether an identifier of the kind says more than that a device was used: it is of medium strength or more."""
        return self.kind(name).strength >= Strength.MEDIUM

    def exclusion(self, identifier: Identifier) -> tuple[str, str] | None:
        """Two identifiers with the same one exclude each other; None where the kind is not unique."""
        kind = self.kind(identifier.kind)
        if not kind.unique:
            return None
        return kind.name, identifier.namespace if kind.namespaced else ""
