"""Evidence of customers that look like customers: one to six identifiers each, some shared ones among them.

Of a hundred customers some thirty are a cookie and a device, the others typed an address, logged in, or are in a CRM; a
few phones are a household's, and now and then somebody types an address at a kiosk.
"""

import random
from collections.abc import Iterator
from typing import Final, NamedTuple

from schemas.identifiers import Identifier
from schemas.identity_policy import Grade
from schemas.keys import Keyring
from schemas.messages import Evidence, SealedIdentifier, encode

# 2026-01-05T00:00:00Z, and what passes between two events.
_START_US: Final = 1_767_571_200_000_000
_STEP_US: Final = 250_000
# One kiosk for so many customers, so that each is seen with some hundred addresses.
_CUSTOMERS_PER_KIOSK: Final = 5_000
_KIOSK_SHARE: Final = 0.02
_HOUSEHOLD_SHARE: Final = 0.1


class Link(NamedTuple):
    """One record of `identity.evidence`, and how many identifiers and pairs are new in it."""

    value: bytes
    identifiers: int
    pairs: int


class Customers:
    """An endless stream of evidence."""

    def __init__(self, keyring: Keyring, seed: int = 1) -> None:
        self._keyring = keyring
        self._dice = random.Random(seed)
        self._number = 0
        self._events = 0

    def __iter__(self) -> Iterator[Link]:
        while True:
            yield from self._customer()

    def _customer(self) -> Iterator[Link]:
        dice, number = self._dice, self._number
        self._number += 1
        cookies = [Identifier("cookie", f"c-{number}-{place}") for place in range(dice.choice((1, 1, 1, 2)))]
        email = Identifier("email", f"person{number}@example.com")
        sort = dice.random()
        if sort < 0.3:
            device = Identifier("device", f"d-{number}")
            yield self._link((cookies[0], device), Grade.CLAIMED, new=2)
            return
        new = 2
        for cookie in cookies:
            yield self._link((email, cookie), Grade.CLAIMED, new=new)
            new = 1
        if sort < 0.8:
            account = Identifier("account", f"a-{number}")
            yield self._link((account, email), Grade.LOGIN, new=1)
            yield self._link((account, cookies[0]), Grade.LOGIN, new=0)
        if sort > 0.6:
            household = dice.random() < _HOUSEHOLD_SHARE and number > 10
            phone = Identifier("phone", f"+3161{number - 7 if household else number:08}")
            crm = Identifier("crm", f"k-{number}")
            yield self._link((crm, email, phone), Grade.RECORD, new=1 if household else 2)
        if dice.random() < _KIOSK_SHARE:
            kiosk = Identifier("cookie", f"kiosk-{number // _CUSTOMERS_PER_KIOSK}")
            yield self._link((kiosk, email), Grade.CLAIMED, new=0)

    def _link(self, identifiers: tuple[Identifier, ...], grade: Grade, *, new: int) -> Link:
        sealed = tuple(self._sealed(identifier) for identifier in identifiers)
        count = len(sealed)
        pairs = tuple((one, other) for one in range(count) for other in range(one + 1, count))
        self._events += 1
        time = _START_US + self._events * _STEP_US
        evidence = Evidence("shop", f"e-{self._events}", time, int(grade), sealed, pairs)
        return Link(encode(evidence), new, len(pairs))

    def _sealed(self, identifier: Identifier) -> SealedIdentifier:
        fragment = self._keyring.fragment_id(identifier)
        return SealedIdentifier(fragment, identifier.kind, self._keyring.seal(identifier, fragment))
