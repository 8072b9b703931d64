"""Goal: an identifier has one fragment id and one sealed form for ever. Method: HMAC-SHA256 as the library has it."""

import hashlib
import hmac

from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from hypothesis import given
from hypothesis import strategies as st

from schemas.identifiers import Identifier
from schemas.keys import FRAGMENT_ID_LENGTH_BYTES, Keyring

SECRET = b"a secret of enough bytes"
_TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=300)
_IDENTIFIERS = st.builds(Identifier, _TEXT, _TEXT, _TEXT, _TEXT)


def _packed(identifier: Identifier) -> bytes:
    fields = (identifier.realm, identifier.namespace, identifier.kind, identifier.value)
    return b"".join(len(text.encode()).to_bytes(2, "big") + text.encode() for text in fields)


@given(_IDENTIFIERS, st.binary(min_size=16, max_size=80))
def test_a_fragment_id_is_a_keyed_hash_of_the_packed_identifier(identifier: Identifier, secret: bytes) -> None:
    key = HKDF(algorithm=SHA256(), length=32, salt=b"goldenthread/1", info=b"fragment ids").derive(secret)
    digest = hmac.new(key, _packed(identifier), hashlib.sha256).digest()
    assert Keyring(secret).fragment_id(identifier) == digest[:FRAGMENT_ID_LENGTH_BYTES].hex()


@given(_IDENTIFIERS)
def test_what_is_packed_sealed_and_concealed_is_the_same_identifier(identifier: Identifier) -> None:
    keyring = Keyring(SECRET)
    assert identifier.packed() == _packed(identifier)
    assert Identifier.unpacked(identifier.packed()) == identifier
    fragment, sealed = keyring.conceal(identifier)
    assert fragment == keyring.fragment_id(identifier)
    assert sealed == keyring.seal(identifier, fragment)
    assert keyring.unseal(sealed, fragment) == identifier


def test_one_after_another_leaves_no_trace_in_the_next() -> None:
    keyring, values = Keyring(SECRET), [Identifier("cookie", f"c-{number}") for number in range(50)]
    once = [keyring.fragment_id(value) for value in values]
    assert [keyring.fragment_id(value) for value in reversed(values)] == once[::-1]
    assert [Keyring(SECRET).fragment_id(value) for value in values] == once
    assert len(set(once)) == len(once)
