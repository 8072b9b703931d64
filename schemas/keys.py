"""Keys derived from the one secret: for fragment ids (HMAC) and for sealing identifiers (AES-SIV).

A fragment id is a keyed hash, so a key of a topic or a line of a log shows no identifier; it is pseudonymous
personal data all the same. Sealing is deterministic (RFC 5297), so that the same identifier gives the same bytes
wherever it is sealed, and bound to its fragment, so that a sealed value can't be moved to another.
"""

import hashlib
from typing import Final, NamedTuple

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESSIV
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from schemas.errors import SecretError, SettingError
from schemas.identifiers import Identifier

SECRET_LENGTH_MIN: Final = 16
FRAGMENT_ID_LENGTH_BYTES: Final = 16
_SEALING_KEY_LENGTH_BYTES: Final = 64
# HMAC as RFC 2104 has it: the key, filled up to a block, with each of these bytes.
_INNER_PAD: Final = bytes(byte ^ 0x36 for byte in range(256))
_OUTER_PAD: Final = bytes(byte ^ 0x5C for byte in range(256))


class Concealed(NamedTuple):
    """An identifier as it goes into keys and messages: its fragment id, and itself sealed."""

    fragment: str
    sealed: bytes


def _derive(secret: bytes, purpose: bytes, length_bytes: int) -> bytes:
    return HKDF(algorithm=SHA256(), length=length_bytes, salt=b"goldenthread/1", info=purpose).derive(secret)


class Keyring:
    """All that is derived from `GOLDENTHREAD_SECRET`."""

    def __init__(self, secret: bytes) -> None:
        if len(secret) < SECRET_LENGTH_MIN:
            raise SettingError(f"GOLDENTHREAD_SECRET has {len(secret)} bytes, at least {SECRET_LENGTH_MIN} are needed")
        # Both hashes of HMAC-SHA256 after their first block, which is the key's: a copy of each saves half of the work
        # of an identifier that was not seen before, as all are where customers are many.
        block = _derive(secret, b"fragment ids", 32).ljust(hashlib.sha256().block_size, b"\0")
        self._inner = hashlib.sha256(block.translate(_INNER_PAD))
        self._outer = hashlib.sha256(block.translate(_OUTER_PAD))
        self._sealer = AESSIV(_derive(secret, b"sealed identifiers", _SEALING_KEY_LENGTH_BYTES))
        #: Signs the sessions of people at the page.
        self.session_key = _derive(secret, b"page sessions", 32)
        #: Tells whether two processes hold the same secret, and tells nothing else.
        self.fingerprint = _derive(secret, b"fingerprint", 8).hex()

    def fragment_id(self, identifier: Identifier) -> str:
        """32 hexadecimal digits, the same for the same identifier under the same secret, for ever."""
        return self._fragment_id(identifier.packed())

    def seal(self, identifier: Identifier, fragment: str) -> bytes:
        """The identifier, encrypted, readable for whoever has the secret and knows the fragment."""
        return self._sealer.encrypt(identifier.packed(), [fragment.encode()])

    def conceal(self, identifier: Identifier) -> Concealed:
        """What `fragment_id` and `seal` say of the identifier."""
        packed = identifier.packed()
        fragment = self._fragment_id(packed)
        return Concealed(fragment, self._sealer.encrypt(packed, [fragment.encode()]))

    def unseal(self, sealed: bytes, fragment: str) -> Identifier:
        """The identifier that `seal` was given.

        Raises:
            SecretError: it was sealed with another secret or for another fragment.
        """
        try:
            return Identifier.unpacked(self._sealer.decrypt(sealed, [fragment.encode()]))
        except InvalidTag:
            raise SecretError(
                f"the identifier of fragment {fragment} can't be unsealed: GOLDENTHREAD_SECRET differs from the "
                "one that the data was written with"
            ) from None

    def _fragment_id(self, packed: bytes) -> str:
        inner, outer = self._inner.copy(), self._outer.copy()
        inner.update(packed)
        outer.update(inner.digest())
        return outer.digest()[:FRAGMENT_ID_LENGTH_BYTES].hex()
