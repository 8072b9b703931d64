"""Sessions of people at the page: a signed cookie instead of a key in the browser.

A session names the key by a keyed fingerprint and when it ends; whoever has another secret can neither make nor read
one. Each request looks up the key again, so a key that is taken away, or expires, ends its sessions. The cookie is
HttpOnly (no script reads it) and SameSite=Strict (no other site makes the browser send it).

The browser is told to send it over TLS alone (`Secure`) where the request came by https; behind a proxy that ends TLS
the service sees http, so X-Forwarded-Proto counts there. Whoever forges that header harms nobody but himself: the
browser then keeps his cookie from plain connections.
"""

import base64
import binascii
import hmac
import secrets
import struct
from collections import OrderedDict
from typing import Final, NamedTuple

from aiohttp import web

from connectors.web.access import Access
from schemas.clock import Clock
from schemas.times import MICROSECONDS_PER_SECOND

COOKIE: Final = "goldenthread-session"
#: A working day; after it the key is asked for again.
SESSION_SECONDS: Final = 8 * 3600
#: Sessions that were ended before their time and are remembered for it.
ENDED_MAX: Final = 10_000
_FINGERPRINT_LENGTH_BYTES: Final = 16
_NONCE_LENGTH_BYTES: Final = 16
_EXPIRES: Final = struct.Struct(">Q")
_MAC_LENGTH_BYTES: Final = 32
_LENGTH_BYTES: Final = _EXPIRES.size + _NONCE_LENGTH_BYTES + _FINGERPRINT_LENGTH_BYTES + _MAC_LENGTH_BYTES


class _Session(NamedTuple):
    expires_s: int
    nonce: bytes
    fingerprint: bytes


class Sessions:
    """Makes, reads and ends sessions.

    Args:
        key: Signs them; derived from the secret, so that every replica reads them.
        access: Knows the keys that are good now.
        clock: Wall time.
    """

    def __init__(self, key: bytes, access: Access, clock: Clock) -> None:
        self._key = key
        self._access = access
        self._clock = clock
        #: Nonces of sessions that were ended, with the second in which they would have ended anyway.
        self._ended: OrderedDict[bytes, int] = OrderedDict()

    def begin(self, request: web.Request, response: web.StreamResponse, digest: bytes) -> None:
        """Give the browser a session for the key with this digest."""
        session = _Session(
            self._now_s() + SESSION_SECONDS, secrets.token_bytes(_NONCE_LENGTH_BYTES), self._fingerprint(digest)
        )
        response.set_cookie(
            COOKIE, self._signed(session), max_age=SESSION_SECONDS, path="/", httponly=True, samesite="Strict",
            secure=came_by_https(request),
        )  # fmt: skip

    def key_digest(self, request: web.Request) -> bytes | None:
        """The digest of the key whose session the request shows; None without a good session."""
        session = self._read(request.cookies.get(COOKIE, ""))
        if session is None or session.expires_s <= self._now_s() or session.nonce in self._ended:
            return None
        fingerprints = ((key.digest, self._fingerprint(key.digest)) for key in self._access.keys)
        return next((digest for digest, found in fingerprints if hmac.compare_digest(found, session.fingerprint)), None)

    def end(self, request: web.Request, response: web.StreamResponse) -> None:
        """End the session for good on this replica, and take the cookie from the browser."""
        session = self._read(request.cookies.get(COOKIE, ""))
        if session is not None:
            self._ended[session.nonce] = session.expires_s
            while len(self._ended) > ENDED_MAX or next(iter(self._ended.values())) <= self._now_s():
                self._ended.popitem(last=False)
                if not self._ended:
                    break
        response.del_cookie(COOKIE, path="/", httponly=True, samesite="Strict", secure=came_by_https(request))

    def _now_s(self) -> int:
        return self._clock.now_us() // MICROSECONDS_PER_SECOND

    def _fingerprint(self, digest: bytes) -> bytes:
        return hmac.digest(self._key, b"key/" + digest, "sha256")[:_FINGERPRINT_LENGTH_BYTES]

    def _mac(self, body: bytes) -> bytes:
        return hmac.digest(self._key, b"session/" + body, "sha256")

    def _signed(self, session: _Session) -> str:
        body = _EXPIRES.pack(session.expires_s) + session.nonce + session.fingerprint
        return base64.urlsafe_b64encode(body + self._mac(body)).rstrip(b"=").decode()

    def _read(self, text: str) -> _Session | None:
        if not text.isascii() or len(text) > 2 * _LENGTH_BYTES:
            return None
        try:
            packed = base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
        except binascii.Error:
            return None
        body, mac = packed[:-_MAC_LENGTH_BYTES], packed[-_MAC_LENGTH_BYTES:]
        if len(packed) != _LENGTH_BYTES or not hmac.compare_digest(mac, self._mac(body)):
            return None
        nonce_end = _EXPIRES.size + _NONCE_LENGTH_BYTES
        return _Session(_EXPIRES.unpack_from(body)[0], body[_EXPIRES.size : nonce_end], body[nonce_end:])


def came_by_https(request: web.Request) -> bool:
    """Whether the browser used TLS, as far as can be told."""
    return request.scheme == "https" or request.headers.get("X-Forwarded-Proto", "").lower() == "https"
