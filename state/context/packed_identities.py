"""Identifiers, unsealed, with what the policy says of them, packed as `identity.rs` reads them."""

import struct
from typing import Final

from schemas.errors import SecretError
from schemas.identity_policy import Policy, Strength
from schemas.strict_json import UNREADABLE
from state.context.publication import Unseal
from state.join import JoinRules
from state.native.packing import packed_text

#: Identifiers that stay packed: some 250 bytes each.
PACKED_IDENTITIES_MAX: Final = 50_000
# Kinds are those of the policy, and some more: an event may name any.
_KINDS_MAX: Final = 256

_HIDDEN: Final = 1
_IDENTIFYING: Final = 2
_MEDIUM: Final = 4
_NOBODYS: Final = 8

_NUMBER = struct.Struct("<I")


class PackedIdentities:
    """The identifiers of one partition's fragments, by fragment: one that was read once is the same for ever."""

    def __init__(self, unseal: Unseal, rules: JoinRules) -> None:
        self._unseal = unseal
        self._rules = rules
        self._packed: dict[str, bytes] = {}
        self._kinds: dict[str, tuple[int, bytes]] = {}
        #: Those at hand, by fragment.
        self.get = self._packed.get

    def read(self, fragment: str, sealed: bytes) -> bytes:
        """The fragment's identifier; empty where it can't be read."""
        try:
            identifier = self._unseal(sealed, fragment)
        except (SecretError, ValueError, *UNREADABLE):
            return b""
        kind, value, namespace, realm = identifier
        if kind not in self._kinds:
            if len(self._kinds) >= _KINDS_MAX:
                self._kinds.clear()
            self._kinds[kind] = _packed_kind(kind, self._rules.policy)
        flags, packed_kind = self._kinds[kind]
        if self._rules.is_nobodys(identifier):
            flags |= _NOBODYS
        texts = map(packed_text, (value, namespace, realm))
        packed = b"".join((_NUMBER.pack(flags), packed_kind, *texts))
        if len(self._packed) >= PACKED_IDENTITIES_MAX:
            self._packed.clear()
        self._packed[fragment] = packed
        return packed


def _packed_kind(kind: str, policy: Policy) -> tuple[int, bytes]:
    """What the policy says of a kind, and what goes before an identifier's value."""
    of_policy = policy.kind(kind)
    flags = (
        (_HIDDEN if of_policy.hidden else 0)
        | (_IDENTIFYING if of_policy.strength is Strength.IDENTIFYING else 0)
        | (_MEDIUM if of_policy.strength >= Strength.MEDIUM else 0)
    )
    return flags, _NUMBER.pack(policy.position(kind)) + packed_text(kind)
