"""Events and identifiers for tests of the context stage."""

from typing import Any, Final

import msgspec

from schemas.identifiers import Identifier
from schemas.keys import Keyring
from schemas.messages import RoutedEvent
from state.native.loading import load

#: What engines in production go by, where it is built.
LIBRARY: Final = load()
RING: Final = Keyring(b"a secret that tests share")
#: 2026-11-22T10:00:00Z.
MORNING: Final = 1_795_341_600_000_000
MINUTE: Final = 60_000_000
DAY: Final = 86_400_000_000

ANN: Final = Identifier("email", "ann@example.com")
ANNS_COOKIE: Final = Identifier("cookie", "c-77")
ANNS_ACCOUNT: Final = Identifier("crm", "8812")


def fragment_of(identifier: Identifier) -> str:
    """The id of the identifier's fragment."""
    return RING.fragment_id(identifier)


def sealed(identifier: Identifier) -> bytes:
    """The identifier as messages carry it."""
    return RING.seal(identifier, fragment_of(identifier))


def routed(identifier: Identifier = ANN, **fields: Any) -> RoutedEvent:
    """An event routed by the identifier: a page view on the web, but for the given fields."""
    event = RoutedEvent(
        target=fragment_of(identifier),
        kind=identifier.kind,
        sealed=sealed(identifier),
        source="shop-web",
        id="e-1",
        type="page.viewed",
        time=MORNING,
        channel="web",
        rank=0,
        grade=1,
        content=b"12345678",
        assigned=False,
        direction="in",
        summary="Viewed running shoes",
        session="s-9",
        traits={},
        permissions={},
        refs=(),
        groups={},
        data=b'{"identifiers":{"email":"ann@example.com"}}',
    )
    return msgspec.structs.replace(event, **fields)
