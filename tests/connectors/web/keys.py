"""Keys for tests of whatever is protected: one token per role, an expired one, write keys of two sources."""

import base64
from typing import Final

from connectors.web.access import Access, AccessKey, Role
from schemas.clock import ManualClock
from schemas.credentials import digest_of
from schemas.times import parse_time

NOW: Final = "2026-11-22T10:00:00Z"
_TOKEN: Final = "gt_a-token-of-tests-for-"  # noqa: S105 - it opens nothing.
EXPIRED: Final = f"{_TOKEN}yesterday"
UNKNOWN: Final = f"{_TOKEN}nothing"
SHOP_KEY: Final = "shop-web-write-key"
TILL_KEY: Final = "till-write-key"


def token(role: Role) -> str:
    """The plain token of the role."""
    return _TOKEN + role.value


def bearer(key: str) -> dict[str, str]:
    """The header that shows the key."""
    return {"Authorization": f"Bearer {key}"}


def basic(key: str) -> dict[str, str]:
    """The header that shows the key as a user name, as senders of events do it."""
    return {"Authorization": "Basic " + base64.b64encode(f"{key}:any password".encode()).decode()}


def keys(requests_per_second: float | None = None) -> list[AccessKey]:
    """All of them; expired is one of every role."""
    tokens = [
        AccessKey(
            name=role.value,
            roles=frozenset({role}),
            digest=digest_of(token(role)),
            requests_per_second=requests_per_second,
        )
        for role in Role
    ]
    expired = AccessKey(
        name="yesterday",
        roles=frozenset(Role),
        digest=digest_of(EXPIRED),
        expires_us=parse_time(NOW),
    )
    written = [
        AccessKey(name=source, roles=frozenset({Role.COLLECT}), digest=digest_of(key), source=source)
        for source, key in (("shop-web", SHOP_KEY), ("till", TILL_KEY))
    ]
    return [*tokens, expired, *written]


def protected(role: Role, clock: ManualClock | None = None, requests_per_second: float | None = None) -> Access:
    """The access of a service with all keys, at `NOW`."""
    return Access(keys(requests_per_second), role=role, clock=clock or ManualClock(parse_time(NOW)))
