"""Goal: a key is read in three forms, and its plain text goes no further. Errors say where and quote nothing."""

import hashlib

import pytest

from schemas.credentials import closed_form, digest_of, expiry_us, is_sendable, resolved_digest
from schemas.errors import SettingError
from schemas.times import parse_time

KEY = "a-key-of-tests-123"
DIGEST = hashlib.sha256(KEY.encode()).hexdigest()
PLACE = "tokens[0]"


def digest(text: str, environment: dict[str, str] | None = None) -> bytes:
    return resolved_digest(closed_form(text, PLACE, 16), environment or {}, PLACE, 16)


@pytest.mark.parametrize("text", [KEY, f"sha256:{DIGEST}", f"sha256:{DIGEST.upper()}", "env:KEY_OF_TESTS"])
def test_all_forms_mean_the_same_key(text: str) -> None:
    assert digest(text, {"KEY_OF_TESTS": KEY}) == digest_of(KEY)


def test_the_closed_form_has_no_plain_text() -> None:
    assert closed_form(KEY, PLACE, 16) == f"sha256:{DIGEST}"


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("", "at least 16 characters"),
        ("fifteen-letters", "at least 16 characters"),
        ("x" * 513, "at most 512"),
        ("with spaces within it", "without spaces"),
        ("with:colon-in-the-middle", "and colons"),
        ("nicht-nur-ASCII-ü", "printable ASCII"),
        ("sha256:", "64 hexadecimal digits"),
        (f"sha256:{DIGEST}0", "64 hexadecimal digits"),
        (f"sha256:{'g' * 64}", "64 hexadecimal digits"),
        ("env:", "name of an environment variable"),
        ("env:A B", "name of an environment variable"),
        ("env:ABSENT", "ABSENT is not set"),
        ("env:SHORT", "SHORT: a key has at least 16"),
    ],
)
def test_what_is_no_key_is_refused_with_its_place_and_without_its_text(text: str, told: str) -> None:
    with pytest.raises(SettingError) as caught:
        digest(text, {"SHORT": "too-short"})
    message = str(caught.value)
    assert message.startswith(PLACE)
    assert told in message
    assert "too-short" not in message
    assert not text or text.startswith(("sha256:", "env:")) or text not in message


@pytest.mark.parametrize("text", ["\ud800", "\udcff\udcfe", "é", "\x00"])
def test_every_text_has_a_digest(text: str) -> None:
    assert len(digest_of(text)) == 32
    assert not is_sendable(text)


def test_an_expiry_needs_its_offset() -> None:
    assert expiry_us("2027-01-31T00:00:00+01:00", PLACE) == parse_time("2027-01-30T23:00:00Z")
    assert expiry_us(None, PLACE) is None
    for wrong in ("2027-01-31", "2027-01-31T00:00:00", "soon", 5, True, ["2027-01-31T00:00:00Z"]):
        with pytest.raises(SettingError, match="is no time with its offset"):
            expiry_us(wrong, PLACE)
