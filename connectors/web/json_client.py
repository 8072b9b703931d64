"""Asks a service of ours over HTTP, for the command line: one request, one JSON answer."""

import http.client
import urllib.error
import urllib.request
from dataclasses import dataclass
from email.message import Message
from typing import Any, Final

import msgspec

from schemas.errors import UsageError
from schemas.strict_json import UNREADABLE

TIMEOUT_SECONDS: Final = 10.0
ANSWER_SIZE_BYTES_MAX: Final = 64 * 1024 * 1024
# A proxy of the environment would see who is asked for, and seldom reaches a loopback address.
_DIRECTLY: Final = urllib.request.build_opener(urllib.request.ProxyHandler({}))


@dataclass(frozen=True)
class JsonReply:
    """What a service answered: what was asked for, or a problem."""

    status: int
    body: Any
    headers: Message

    @property
    def fine(self) -> bool:
        """Whether it is no problem."""
        return self.status < http.client.BAD_REQUEST


def ask(
    base_url: str,
    method: str,
    path: str,
    *,
    service: str,
    body: Any = None,
    token: str | None = None,
    timeout_s: float = TIMEOUT_SECONDS,
) -> JsonReply:
    """Send one request.

    Args:
        base_url: where the service is.
        method: of the request.
        path: with its query; begins with `/`.
        service: what errors call it.
        body: anything that JSON can be made of; None: no body.
        token: shown as the bearer's.
        timeout_s: how long nothing may come.

    Raises:
        UsageError: no service answers there, or something that is none.
    """
    if not base_url.startswith(("http://", "https://")):
        raise UsageError(f"{base_url!r} is no http:// or https:// address of {service}")
    request = urllib.request.Request(  # noqa: S310 - the scheme was checked above.
        f"{base_url.rstrip('/')}{path}",
        data=None if body is None else msgspec.json.encode(body),
        headers={} if body is None else {"Content-Type": "application/json"},
        method=method,
    )
    if token is not None:
        # To nobody else, should the address lead on to another.
        request.add_unredirected_header("Authorization", f"Bearer {token}")
    try:
        with _DIRECTLY.open(request, timeout=timeout_s) as answer:
            return _reply(answer.status, answer.headers, answer.read(ANSWER_SIZE_BYTES_MAX), service)
    except urllib.error.HTTPError as refusal:
        with refusal:
            return _reply(refusal.code, refusal.headers, refusal.read(ANSWER_SIZE_BYTES_MAX), service)
    except (OSError, http.client.HTTPException) as error:
        raise UsageError(
            f"{service} does not answer at {base_url} ({error}): start it, or correct the address"
        ) from error


def _reply(status: int, headers: Message, body: bytes, service: str) -> JsonReply:
    try:
        decoded = msgspec.json.decode(body)
    except UNREADABLE as error:
        raise UsageError(f"the answer (status {status}) is no JSON: the address is not that of {service}") from error
    return JsonReply(status, decoded, headers)
