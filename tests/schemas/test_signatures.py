"""Signatures of webhooks: what can't work stops the start, and a right signature is the only one that matches."""

import base64
import hmac
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.errors import SettingError
from schemas.signatures import Signature, SignatureCheck
from schemas.sources import load_sources

SECRET = "a secret of the tool"  # noqa: S105 - it keeps nothing.


def check(kept: str = SECRET, **changes: Any) -> SignatureCheck:
    signature = Signature(**({"header": "X-Signature", "secret": "env:NAME"} | changes))
    return SignatureCheck(signature, {"NAME": kept} if kept else {}, "source 'tool'")


@pytest.mark.parametrize(
    ("kept", "changes", "told"),
    [
        (SECRET, {"header": ""}, "names no header"),
        (SECRET, {"signed": "{t}."}, "has to hold {body}"),
        (SECRET, {"secret": SECRET}, "env:NAME"),
        (SECRET, {"secret": "env:"}, "env:NAME"),
        ("", {}, "NAME is not set"),
        ("short", {}, "fewer than 8 bytes"),
        ("no hex", {"secret_encoding": "hex"}, "is no hex"),
        ("no base64!", {"secret_encoding": "base64"}, "is no base64"),
    ],
)
def test_what_can_not_work_is_told_and_the_secret_is_not(kept: str, changes: dict[str, Any], told: str) -> None:
    with pytest.raises(SettingError) as caught:
        check(kept, **changes)
    assert told in str(caught.value)
    assert "source 'tool'" in str(caught.value)
    assert SECRET not in str(caught.value)


def test_a_registration_is_read_strictly(tmp_path: Path) -> None:
    path = tmp_path / "sources.yaml"
    for wrong, told in (
        ("algoritm: md5", "did you mean 'algorithm'"),
        ("algorithm: md5", "md5"),
        ("signed: x", "body"),
    ):
        path.write_text(f'sources: {{tool: {{signature: {{header: X, secret: "env:NAME", {wrong}}}}}}}')
        with pytest.raises(SettingError, match=told):
            load_sources(path)
    path.write_text('sources: {tool: {signature: {header: X, secret: "env:NAME"}}}')
    registry = load_sources(path)
    assert registry.signatures({"NAME": SECRET}).keys() == {"tool"}
    with pytest.raises(SettingError, match="NAME is not set"):
        registry.signatures({})


def test_secrets_are_written_as_text_hex_or_base64() -> None:
    raw = bytes(range(16))
    header = {"x-signature": hmac.digest(raw, b"body", "sha256").hex()}
    assert check(raw.hex(), secret_encoding="hex").matches(header, b"body")  # noqa: S106 - how it is written.
    encoded = "whsec_" + base64.b64encode(raw).decode()
    assert check(encoded, secret_encoding="base64").matches(header, b"body")  # noqa: S106 - how it is written.
    assert not check(encoded).matches(header, b"body")


def signed(message: bytes) -> str:
    return base64.b64encode(hmac.digest(SECRET.encode(), message, "sha256")).decode()


@pytest.mark.parametrize("name", ["webhook-id", "Webhook-Id", "header.webhook-id", "header.Webhook-Id"])
def test_no_part_of_the_signature_stands_for_a_header(name: str) -> None:
    checked = check(encoding="base64", signed=f"{{{name}}}.{{body}}")
    right = signed(b"msg_1.body")
    assert checked.matches({"x-signature": right, "webhook-id": "msg_1"}, b"body")
    # A captured request with another header, which a mapping would read, or without it.
    part = name.removeprefix("header.")
    for captured in (f"{part}=msg_1 {right}", f"{name}=msg_1,{right}", f"webhook-id=msg_1 {right}", right):
        assert not checked.matches({"x-signature": captured, "webhook-id": "msg_2"}, b"body")
        assert not checked.matches({"x-signature": captured}, b"body")


def test_no_header_stands_for_a_part_of_the_signature() -> None:
    checked = check(prefix="v1=", encoding="base64", signed="{t}.{body}")
    assert checked.matches({"x-signature": f"t=1,v1={signed(b'1.body')}", "t": "2"}, b"body")
    assert not checked.matches({"x-signature": f"t=2,v1={signed(b'1.body')}", "t": "1"}, b"body")
    assert not checked.matches({"x-signature": f"v1={signed(b'1.body')}", "t": "1"}, b"body")


def test_a_header_without_a_hyphen_is_named_as_one() -> None:
    checked = check(encoding="base64", signed="{header.Timestamp}.{body}")
    assert checked.matches({"x-signature": signed(b"1.body"), "timestamp": "1"}, b"body")
    assert not checked.matches({"x-signature": f"timestamp=1,{signed(b'1.body')}"}, b"body")


@given(st.text(), st.binary(max_size=50), st.text(max_size=9))
def test_nothing_but_the_signature_matches_and_nothing_raises(header: str, body: bytes, other: str) -> None:
    plain, timed = check(prefix="v1="), check(prefix="v1=", signed="{t}.{x-other}.{body}")
    sent = {"x-signature": header, "x-other": other}
    assert not plain.matches(sent, body)
    assert not timed.matches(sent, body)
    right = hmac.digest(SECRET.encode(), body, "sha256").hex()
    assert plain.matches({"x-signature": f"t=1,v1={right}"}, body)
