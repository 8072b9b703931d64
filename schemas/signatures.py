"""Signatures of webhooks: a keyed hash (HMAC) over the body, by which a tool proves that a request is its own.

Tools differ in where it stands and in what is signed besides the body; `Signature` says both, so no tool needs code.
docs/sources.md has the registrations of those that people use most.

A time that is signed is not compared with the clock: a request that is sent again counts once here, however late.
"""

import base64
import binascii
import hmac
import re
from collections.abc import Mapping
from typing import Final, Literal

import msgspec

from schemas.credentials import ENVIRONMENT_PREFIX
from schemas.errors import SettingError

#: Shorter secrets can be guessed from one signed request.
SECRET_LENGTH_MIN: Final = 8
# A header lists one signature, or a few while a secret is replaced.
_PARTS_MAX: Final = 16
_BODY: Final = "body"
_HEADER_PREFIX: Final = "header."
_PLACES: Final = re.compile(r"\{([^{}]*)\}")
_SEPARATORS: Final = re.compile(r"[,\s]+")


class Signature(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How the requests of a source are signed."""

    #: The header that holds the signature, or several apart by commas or spaces.
    header: str
    #: `env:NAME`: the secret is in this environment variable.
    secret: str
    algorithm: Literal["sha1", "sha256", "sha512"] = "sha256"
    encoding: Literal["hex", "base64"] = "hex"
    #: What stands before the signature in the header.
    prefix: str = ""
    #: What is signed: `{body}` is the body, a name with a hyphen a header, `{header.NAME}` one of any name, and any
    #: other name a part `name=...` of the signature's header.
    signed: str = "{body}"
    #: How the secret is written.
    secret_encoding: Literal["text", "hex", "base64"] = "text"  # noqa: S105 - how it is written, not what it is.


class SignatureCheck:
    """Verifies the requests of one source.

    Args:
        signature: How they are signed.
        environment: Where the secret is.
        place: What the signature belongs to, for errors.
        requests_per_second: Signed requests that are taken; None: as many as of a key without a limit of its own.

    Raises:
        SettingError: the secret is missing or unusable, or what is signed does not hold the body.
    """

    def __init__(
        self,
        signature: Signature,
        environment: Mapping[str, str],
        place: str,
        requests_per_second: float | None = None,
    ) -> None:
        verify_signature(signature, place)
        self.requests_per_second = requests_per_second
        self.header = signature.header.lower()
        self._signature = signature
        self._secret = _secret(signature, environment, place)
        # Texts and, between them, names.
        self._signed = _PLACES.split(signature.signed)

    def matches(self, headers: Mapping[str, str], body: bytes) -> bool:
        """Whether the request is signed with the secret. `headers` are named in lower case."""
        prefix = self._signature.prefix
        parts = [part for part in _SEPARATORS.split(headers.get(self.header, "")) if part][:_PARTS_MAX]
        given = [part.removeprefix(prefix) for part in parts if part.startswith(prefix)]
        named = dict(part.split("=", 1) for part in parts if "=" in part)
        message = self._message(headers, named, body)
        if message is None:
            return False
        digest = hmac.digest(self._secret, message, self._signature.algorithm)
        expected = digest.hex().encode() if self._signature.encoding == "hex" else base64.b64encode(digest)
        found = False
        for text in given:
            shown = (text.lower() if self._signature.encoding == "hex" else text).encode(errors="replace")
            # All are compared, each in the same time, so that no answer tells how near one was.
            found |= hmac.compare_digest(shown, expected)
        return found

    def _message(self, headers: Mapping[str, str], parts: Mapping[str, str], body: bytes) -> bytes | None:
        message = b""
        for place, text in enumerate(self._signed):
            if place % 2 == 0:
                message += text.encode()
            elif text == _BODY:
                message += body
            else:
                # Which of both it is, the registration alone decides: whoever could put a part in a header's place
                # could send what is signed with other headers, and mappings read those.
                header = _header_named(text)
                value = parts.get(text) if header is None else headers.get(header)
                if value is None:
                    return None
                message += value.encode(errors="surrogateescape")
        return message


def _header_named(name: str) -> str | None:
    """The header that a name in `signed` stands for, in lower case; None where it is a part."""
    if name.lower().startswith(_HEADER_PREFIX):
        return name[len(_HEADER_PREFIX) :].lower()
    return name.lower() if "-" in name else None


def verify_signature(signature: Signature, place: str) -> None:
    """Refuse what can't work, without the secret.

    Raises:
        SettingError: naming place and key.
    """
    if not signature.header:
        raise SettingError(f"{place}: signature.header names no header")
    if _BODY not in _PLACES.findall(signature.signed):
        raise SettingError(f"{place}: signature.signed has to hold {{body}}, or anybody may change it")
    if not signature.secret.removeprefix(ENVIRONMENT_PREFIX) or not signature.secret.startswith(ENVIRONMENT_PREFIX):
        raise SettingError(f"{place}: signature.secret is {ENVIRONMENT_PREFIX}NAME, an environment variable")


def _secret(signature: Signature, environment: Mapping[str, str], place: str) -> bytes:
    name = signature.secret.removeprefix(ENVIRONMENT_PREFIX)
    text = environment.get(name, "").strip()
    if not text:
        raise SettingError(f"{place}: the environment variable {name} is not set")
    try:
        match signature.secret_encoding:
            case "hex":
                secret = bytes.fromhex(text)
            case "base64":
                # Standard Webhooks puts a word before it.
                secret = base64.b64decode(text.removeprefix("whsec_"), validate=True)
            case "text":
                secret = text.encode()
    except (ValueError, binascii.Error):
        raise SettingError(f"{place}: the environment variable {name} is no {signature.secret_encoding}") from None
    if len(secret) < SECRET_LENGTH_MIN:
        raise SettingError(f"{place}: the secret in {name} has fewer than {SECRET_LENGTH_MIN} bytes")
    return secret
