"""Identifiers: `kind:value`, normalised, within a realm and a namespace."""

from typing import Final, NamedTuple

DEFAULT_REALM: Final = "default"
DEFAULT_NAMESPACE: Final = "default"


class Identifier(NamedTuple):
    """A normalised identifier. Its order is that of plain values, which breaks ties everywhere."""

    kind: str
    value: str
    namespace: str = DEFAULT_NAMESPACE
    realm: str = DEFAULT_REALM

    def packed(self) -> bytes:
        """Length-prefixed fields, so that no two identifiers pack alike."""
        parts = [text.encode() for text in (self.realm, self.namespace, self.kind, self.value)]
        return b"".join(len(part).to_bytes(2, "big") + part for part in parts)

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
