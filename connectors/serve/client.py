"""`goldenthread customer get`: asks a running lookup, by POST, so that the identifier is in no URL and no log."""

import http.client
import urllib.error
import urllib.request
from collections.abc import Mapping
from dataclasses import dataclass
from email.message import Message
from typing import Any, Final

import msgspec

from connectors.serve.handlers import LAG_HEADER, MATCH_HEADER
from schemas.errors import UsageError
from schemas.strict_json import UNREADABLE

TIMEOUT_SECONDS: Final = 10.0
ANSWER_SIZE_BYTES_MAX: Final = 8 * 1024 * 1024
# A proxy of the environment would see who is asked for, and seldom reaches a loopback address.
_DIRECTLY: Final = urllib.request.build_opener(urllib.request.ProxyHandler({}))


@dataclass(frozen=True)
class LookupReply:
    """What the lookup answered: the match and the context, or a problem."""

    status: int
    body: Any
    lag_seconds: str | None
    match: str | None

    @property
    def found(self) -> bool:
        """Whether there is a context in the body."""
        return self.status == http.client.OK


def customer_get(
    base_url: str,
    kind: str,
    value: str,
    *,
    namespace: str | None = None,
    realm: str | None = None,
    min_grade: str | None = None,
    token: str | None = None,
    timeout_s: float = TIMEOUT_SECONDS,
) -> LookupReply:
    """Look one identifier up.

    Raises:
        UsageError: no lookup answers there, or something that is none.
    """
    asked = {"kind": kind, "value": value, "namespace": namespace, "realm": realm}
    question: dict[str, Any] = {"identifiers": [_given(asked)]} | _given({"min_grade": min_grade})
    if not base_url.startswith(("http://", "https://")):
        raise UsageError(f"{base_url!r} is no http:// or https:// address of a lookup")
    request = urllib.request.Request(  # noqa: S310 - the scheme was checked above.
        f"{base_url.rstrip('/')}/v1/lookup",
        data=msgspec.json.encode(question),
        headers={"Content-Type": "application/json"},
        method="POST",
    )
    if token is not None:
        # To nobody else, should the address lead on to another.
        request.add_unredirected_header("Authorization", f"Bearer {token}")
    try:
        with _DIRECTLY.open(request, timeout=timeout_s) as answer:
            return _reply(answer.status, answer.headers, answer.read(ANSWER_SIZE_BYTES_MAX))
    except urllib.error.HTTPError as refusal:
        with refusal:
            return _reply(refusal.code, refusal.headers, refusal.read(ANSWER_SIZE_BYTES_MAX))
    except (OSError, http.client.HTTPException) as error:
        raise UsageError(f"no lookup answers at {base_url} ({error}): start it, or correct the address") from error


def _given(fields: Mapping[str, str | None]) -> dict[str, str]:
    return {name: text for name, text in fields.items() if text is not None}


def _reply(status: int, headers: Message, body: bytes) -> LookupReply:
    try:
        decoded = msgspec.json.decode(body)
    except UNREADABLE as error:
        raise UsageError(f"the answer (status {status}) is no JSON: the address is not that of a lookup") from error
    return LookupReply(status, decoded, headers.get(LAG_HEADER), headers.get(MATCH_HEADER))
