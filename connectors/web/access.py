"""Who may call a service: keys, the roles that they give, and how often each may ask.

A key is a token of the access file, or the write key of a source; a credential is what a request shows as one.

A request shows its key in `Authorization: Bearer KEY`, or, where a service takes it, as the user name of basic
authentication. What is wrong with a key is for the log alone: unknown, expired and malformed ones get one and the same
answer. A service for which no key is configured is open to everybody, and may then listen on loopback only
(`goldenthread/parts.py` sees to that). Keys are replaced while the service runs; that never opens a protected one.
"""

import hmac
import math
import secrets
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import Enum, StrEnum
from typing import Final, Protocol

import msgspec
from aiohttp import hdrs, web

from connectors.web.problems import (
    FORBIDDEN,
    RATE_LIMITED,
    UNAUTHENTICATED,
    WRONG_SOURCE,
    FieldProblem,
    ProblemError,
    ProblemKind,
    retry_after,
)
from connectors.web.rate_limits import RateLimits
from schemas.clock import Clock, SystemClock
from schemas.credentials import digest_of
from schemas.errors import SettingError

_CHALLENGE: Final = 'Bearer realm="goldenthread"'
_BASIC_CHALLENGE: Final = 'Basic realm="goldenthread", charset="UTF-8"'


class Role(StrEnum):
    """What a key is for."""

    #: Send events.
    COLLECT = "collect"
    #: Read contexts and interactions.
    LOOKUP = "lookup"
    #: Give orders, and read metrics.
    ADMIN = "admin"
    #: Read metrics.
    METRICS = "metrics"


ANY_ROLE: Final = frozenset(Role)


class Exemption(Enum):
    """How an operation is guarded when not by roles."""

    #: Everybody may call it: probes, a login page and its static files.
    OPEN = "open"
    #: Its handler calls `connectors.web.guard.admit`, with a key that comes in the body or in a cookie.
    IN_HANDLER = "in_handler"


OPEN: Final = Exemption.OPEN
IN_HANDLER: Final = Exemption.IN_HANDLER
#: Roles of which one is enough, or an exemption.
Admission = frozenset[Role] | Exemption


class Refusal(StrEnum):
    """Why a request was refused, in the log and in metrics."""

    MISSING = "missing"
    MALFORMED = "malformed"
    UNKNOWN = "unknown"
    EXPIRED = "expired"
    FORBIDDEN = "forbidden"
    WRONG_HOST = "wrong_host"
    WRONG_ORIGIN = "wrong_origin"
    WRONG_SOURCE = "wrong_source"
    RATE_LIMITED = "rate_limited"


@dataclass(frozen=True)
class Principal:
    """Who asks.

    Attributes:
        name: Of the token, or of the source whose write key it is.
        roles: What it may do.
        source: The only source that it speaks for; None: any.
    """

    name: str
    roles: frozenset[Role]
    source: str | None = None


#: Who asks where no key is configured.
ANYONE: Final = Principal("anyone", ANY_ROLE)
#: Who asks at a door that is open, or before a handler has admitted somebody.
NOBODY: Final = Principal("nobody", frozenset())
PRINCIPAL: Final = web.RequestKey("principal", Principal)


class AccessKey(msgspec.Struct, frozen=True, kw_only=True):
    """One key: its digest, and what it gives. The plain key is nowhere."""

    name: str
    roles: frozenset[Role]
    digest: bytes
    #: The source that a write key speaks for.
    source: str | None = None
    #: Microseconds since 1970; from then on the key does not count.
    expires_us: int | None = None
    requests_per_second: float | None = None
    #: Made for processes of ours: it lets in, but does not make a service one that has keys configured.
    internal: bool = False

    @property
    def bucket(self) -> str:
        """What its requests are counted under: keys of one source share its limit."""
        return f"token:{self.name}" if self.source is None else f"source:{self.source}"


class KeyFiles(Protocol):
    """Where keys come from, while the service runs."""

    async def watch(self, access: "Access") -> None:
        """Replace the keys whenever they have changed, until cancelled."""


class AccessRefused(ProblemError):
    """A request is refused. `reason` and `key_name` are for the log and metrics; the client is not told."""

    def __init__(
        self,
        reason: Refusal,
        kind: ProblemKind,
        detail: str,
        *,
        key_name: str | None = None,
        headers: dict[str, str] | None = None,
        errors: Iterable[FieldProblem] = (),
    ) -> None:
        super().__init__(kind, detail, headers=headers, errors=errors)
        self.reason = reason
        self.key_name = key_name


def require_own_sources(principal: Principal, sources: Mapping[str, str]) -> None:
    """Hold a write key to the source that it speaks for; other keys speak for any.

    Args:
        principal: Who sends.
        sources: The source of each event by its JSON pointer in the body.

    Raises:
        AccessRefused: 403 `wrong_source`, naming each event of another source.
    """
    if principal.source is None:
        return
    foreign = [pointer for pointer, source in sources.items() if source != principal.source]
    if foreign:
        detail = "the event's source is not the one that the write key was given to"
        raise AccessRefused(
            Refusal.WRONG_SOURCE,
            WRONG_SOURCE,
            f"{len(foreign)} of {len(sources)} events are of another source than the write key's; none is taken.",
            key_name=principal.name,
            errors=[FieldProblem(pointer, detail, WRONG_SOURCE.code) for pointer in foreign],
        )


class Access:
    """The keys of one service.

    Args:
        keys: Those that are known, of every role: a known key of another role is told 403.
        role: What operations of this service need that name nothing else.
        clock: Says what has expired, and fills the buckets.
        requests_per_second_max: For keys that have no limit of their own; None: no limit.
        files: What replaces the keys when they change.

    Raises:
        SettingError: two entries hold the same key, or have the same name.
    """

    def __init__(
        self,
        keys: Iterable[AccessKey] = (),
        *,
        role: Role,
        clock: Clock | None = None,
        requests_per_second_max: float | None = None,
        files: KeyFiles | None = None,
    ) -> None:
        self.role = role
        self._clock = clock or SystemClock()
        self._requests_per_second_max = requests_per_second_max
        self._files = files
        self._rates = RateLimits(self._clock)
        # Keys are found by a hash that only this process can compute: how long it takes tells nothing about them.
        self._pepper = secrets.token_bytes(32)
        self._keys: dict[bytes, AccessKey] = {}
        self.enabled = False
        self.replace(keys)

    @property
    def takes_basic(self) -> bool:
        """Whether a key may come as the user name of basic authentication, as senders of events do it."""
        return self.role is Role.COLLECT

    @property
    def keys(self) -> tuple[AccessKey, ...]:
        """All keys that are known."""
        return tuple(self._keys.values())

    def replace(self, keys: Iterable[AccessKey]) -> None:
        """Let these in from now on, and no others.

        Raises:
            SettingError: two entries hold the same key, or none is left for a service that has been protected; what
                was in force stays so.
        """
        found: dict[bytes, AccessKey] = {}
        for key in keys:
            other = found.setdefault(self._peppered(key.digest), key)
            if other is not key:
                raise SettingError(f"{_named(other)} and {_named(key)} hold the same key; each needs one of its own")
        enabled = any(self.role in key.roles and not key.internal for key in found.values())
        if self.enabled and not enabled:
            raise SettingError(
                f"no key of role {self.role} is left, which would let everybody in; to open the service start it again"
            )
        self._keys, self.enabled = found, enabled

    async def watch(self) -> None:
        """Keep the keys as their files have them, until cancelled."""
        if self._files is not None:
            await self._files.watch(self)

    def admit(self, credential: str | None, roles: frozenset[Role] | None = None) -> Principal:
        """Who asks, if it may: the key is known, has not asked too often, and has one of the roles.

        Args:
            credential: The key, None where the request has none.
            roles: Of which one is needed; the service's where none are given.

        Raises:
            AccessRefused: 401, 429 or 403, in this order.
        """
        return self.admit_digest(None if credential is None else digest_of(credential), roles)

    def admit_digest(self, digest: bytes | None, roles: frozenset[Role] | None = None) -> Principal:
        """As `admit`, by the digest of the key: for sessions, which remember no key.

        Raises:
            AccessRefused: 401, 429 or 403, in this order.
        """
        if not self.enabled:
            return ANYONE
        if digest is None:
            raise self.unauthenticated(Refusal.MISSING)
        key = self._known(digest)
        self._count(key)
        if not key.roles & (roles or frozenset({self.role})):
            raise AccessRefused(
                Refusal.FORBIDDEN, FORBIDDEN, "The key is good, but not for this operation.", key_name=key.name
            )
        return _principal(key)

    def count_signed(self, source: str, requests_per_second: float | None) -> None:
        """Count a request that is signed as the source's own, which needs no key, together with those of its keys.

        Raises:
            AccessRefused: 429.
        """
        roles = frozenset({Role.COLLECT})
        self._count(
            AccessKey(name=source, roles=roles, digest=b"", source=source, requests_per_second=requests_per_second)
        )

    def unauthenticated(
        self, reason: Refusal, key_name: str | None = None, detail: str = UNAUTHENTICATED.meaning
    ) -> AccessRefused:
        """The one answer to whoever shows no good key; `detail` where a door takes other proof too."""
        challenge = f"{_CHALLENGE}, {_BASIC_CHALLENGE}" if self.takes_basic else _CHALLENGE
        return AccessRefused(
            reason,
            UNAUTHENTICATED,
            detail,
            key_name=key_name,
            headers={hdrs.WWW_AUTHENTICATE: challenge},
        )

    def _known(self, digest: bytes) -> AccessKey:
        key = self._keys.get(self._peppered(digest))
        if key is None or not hmac.compare_digest(key.digest, digest):
            raise self.unauthenticated(Refusal.UNKNOWN)
        if key.expires_us is not None and key.expires_us <= self._clock.now_us():
            raise self.unauthenticated(Refusal.EXPIRED, key.name)
        return key

    def _count(self, key: AccessKey) -> None:
        limit = key.requests_per_second or self._requests_per_second_max
        if limit is None or key.internal:
            return
        wait_s = self._rates.take(key.bucket, limit)
        if wait_s > 0:
            whole_s = max(1, math.ceil(wait_s))
            policy = f'"key";q={max(1, math.floor(limit))};w={max(1, math.ceil(1 / limit))}'
            raise AccessRefused(
                Refusal.RATE_LIMITED,
                RATE_LIMITED,
                f"The {'key' if key.source is None else 'source'} may send {limit:g} requests a second.",
                key_name=key.name,
                headers=retry_after(whole_s) | {"RateLimit-Policy": policy, "RateLimit": f'"key";r=0;t={whole_s}'},
            )

    def _peppered(self, digest: bytes) -> bytes:
        return hmac.digest(self._pepper, digest, "sha256")


def _principal(key: AccessKey) -> Principal:
    return Principal(key.name, key.roles, key.source)


def _named(key: AccessKey) -> str:
    return f"token {key.name!r}" if key.source is None else f"source {key.source!r}"
