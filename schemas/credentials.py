"""Keys that clients hold, as files give them: plain, by digest, or by the name of an environment variable.

| form | means |
| --- | --- |
| `gt_5Jc…` | the key itself |
| `sha256:9f86d0…` | the SHA-256 of the key, 64 hexadecimal digits |
| `env:NAME` | the key is in this environment variable |

Nothing but digests is kept of a key. A key is random, so its plain SHA-256 is enough: there is no word to guess.
"""

import hashlib
import re
from collections.abc import Mapping
from datetime import datetime
from typing import Annotated, Any, Final

import msgspec

from schemas.errors import EventError, SettingError
from schemas.times import parse_time

DIGEST_PREFIX: Final = "sha256:"
ENVIRONMENT_PREFIX: Final = "env:"
#: Longer ones are refused without a look: no generator makes them, and a header would not hold them.
KEY_LENGTH_MAX: Final = 512
_SHOWN_MAX: Final = 64
# A colon would end the user name of basic authentication, and other characters have no place in a header.
_PLAIN: Final = re.compile(r"[!-9;-~]+", re.ASCII)
_DIGEST: Final = re.compile(r"[0-9a-f]{64}", re.ASCII)
_VARIABLE: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]*", re.ASCII)

#: Requests a second; a burst may have one second's worth.
RequestRate = Annotated[float, msgspec.Meta(ge=0.001, le=1_000_000)]


def digest_of(key: str) -> bytes:
    """The SHA-256 of a key as it was sent; defined for every text that a header can hold."""
    return hashlib.sha256(key.encode(errors="surrogatepass")).digest()


def is_sendable(key: str) -> bool:
    """Whether the text can be a key: printable ASCII without spaces and colons, of a sane length."""
    return len(key) <= KEY_LENGTH_MAX and _PLAIN.fullmatch(key) is not None


def closed_form(text: str, place: str, length_min: int) -> str:
    """The given form of a key without its plain text: `sha256:` or `env:`.

    Args:
        text: One of the three forms.
        place: Where it stands, for errors; they never quote the key.
        length_min: The fewest characters of a plain key.

    Raises:
        SettingError: it is none of the forms, or too short.
    """
    if text.startswith(DIGEST_PREFIX):
        digest = text.removeprefix(DIGEST_PREFIX).lower()
        if _DIGEST.fullmatch(digest) is None:
            raise SettingError(f"{place}: after {DIGEST_PREFIX} come the 64 hexadecimal digits of a SHA-256")
        return DIGEST_PREFIX + digest
    if text.startswith(ENVIRONMENT_PREFIX):
        if _VARIABLE.fullmatch(text.removeprefix(ENVIRONMENT_PREFIX)) is None:
            raise SettingError(f"{place}: after {ENVIRONMENT_PREFIX} comes the name of an environment variable")
        return text
    return DIGEST_PREFIX + _usable(text, place, length_min).hex()


def resolved_digest(closed: str, environment: Mapping[str, str], place: str, length_min: int) -> bytes:
    """The digest of a key in closed form.

    Raises:
        SettingError: the environment variable is missing, or holds no usable key.
    """
    if closed.startswith(DIGEST_PREFIX):
        return bytes.fromhex(closed.removeprefix(DIGEST_PREFIX))
    variable = closed.removeprefix(ENVIRONMENT_PREFIX)
    if variable not in environment:
        raise SettingError(f"{place}: the environment variable {variable} is not set")
    return _usable(environment[variable], f"{place}: the environment variable {variable}", length_min)


def expiry_us(expires: Any, place: str) -> int | None:
    """When a key stops to count, in microseconds since 1970; None: never.

    YAML makes a moment of what looks like one, and leaves it as text within quotes.

    Raises:
        SettingError: it is no time with an offset from UTC.
    """
    if expires is None:
        return None
    try:
        return parse_time(expires.isoformat() if isinstance(expires, datetime) else str(expires))
    except EventError as error:
        raise SettingError(
            f"{place}: {str(expires)[:_SHOWN_MAX]!r} is no time with its offset, such as 2027-01-31T00:00:00Z"
        ) from error


def _usable(key: str, place: str, length_min: int) -> bytes:
    if len(key) < length_min:
        raise SettingError(f"{place}: a key has at least {length_min} characters")
    if not is_sendable(key):
        raise SettingError(
            f"{place}: a key has at most {KEY_LENGTH_MAX} characters, all printable ASCII without spaces and colons"
        )
    return digest_of(key)
