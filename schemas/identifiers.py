"""Identifiers: `kind:value`, normalised, within a realm and a namespace."""

import struct
from typing import Final, NamedTuple

DEFAULT_REALM: Final = "default"
DEFAULT_NAMESPACE: Final = "default"

_packed_length: Final = struct.Struct(">H").pack


class Identifier(NamedTuple):
    """A normalised identifier. Its order is that of plain values, which breaks ties everywhere."""

    kind: str
    value: str
    namespace: str = DEFAULT_NAMESPACE
    realm: str = DEFAULT_REALM

    def packed(self) -> bytes:
        """Length-prefixed fields, so that no two identifiers pack alike."""
        realm, namespace = self.realm.encode(), self.namespace.encode()
        kind, value = self.kind.encode(), self.value.encode()
        of_realm, of_namespace, of_kind, of_value = map(_packed_length, map(len, (realm, namespace, kind, value)))
        return b"".join((of_realm, realm, of_namespace, namespace, of_kind, kind, of_value, value))

    @classmethod
    def unpacked(cls, packed: bytes) -> "Identifier":
        """The identifier that `packed` gave."""
        texts = []
        start = 0
        while start < len(packed):
            end = start + 2 + int.from_bytes(packed[start : start + 2], "big")
            texts.append(packed[start + 2 : end].decode())
            start = end
        realm, namespace, kind, value = texts
        return cls(kind, value, namespace, realm)
