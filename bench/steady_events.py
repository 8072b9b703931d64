"""A steady flow of events without an end: customers keep coming, log in, are merged, and some events arrive twice.

Made for long runs: an event costs microseconds, and memory stays the same however many there are, where
`bench.generator` holds its whole population. The same seed gives the same bytes.
"""

import random
from collections.abc import Iterator
from typing import Any, Final, NamedTuple

from bench.generator import START_US, encode
from schemas.times import format_time

#: So many distinct events bring one new customer.
EVENTS_PER_CUSTOMER: Final = 10
# This share of events is of those who came lately, the rest of anybody who ever came.
_RECENT_SHARE: Final = 0.7
_RECENT_CUSTOMERS: Final = 2_000
# Copies repeat one of the last so many events.
_REMEMBERED_EVENTS: Final = 1_000
# In the time that the events tell of: five million are a month.
_GAP_US: Final = 500_000


class SteadyEvent(NamedTuple):
    """One event as it goes to Kafka."""

    channel: str
    value: bytes
    id: str
    #: Whether the same event was sent before.
    is_copy: bool


def steady_events(seed: int = 1, *, duplicate_share: float = 0.05, padding_bytes: int = 0) -> Iterator[SteadyEvent]:
    """Events for ever, in the order of their arrival.

    Args:
        seed: The same one gives the same events.
        duplicate_share: Copies among all that is sent.
        padding_bytes: Size of a text that each event carries on top.
    """
    dice = random.Random(f"steady/{seed}")
    remembered: list[SteadyEvent] = []
    number = customers = 0
    while True:
        if remembered and dice.random() < duplicate_share:
            yield dice.choice(remembered)._replace(is_copy=True)
            continue
        if number % EVENTS_PER_CUSTOMER == 0:
            customers += 1
            customer, turn = customers, 0.0
        else:
            recent = dice.random() < _RECENT_SHARE
            customer = dice.randint(max(1, customers - _RECENT_CUSTOMERS) if recent else 1, customers)
            turn = dice.random()
        source, channel, kind, data = _happening(f"{seed}-{customer}", customer, turn, dice)
        if padding_bytes:
            # Text that no compression makes small.
            data["note"] = dice.randbytes(padding_bytes // 2).hex()
        event: dict[str, Any] = {
            "specversion": "1.0",
            "id": f"s-{seed}-{number}",
            "source": source,
            "type": kind,
            "time": format_time(START_US + number * _GAP_US),
            "channel": channel,
            "data": data,
        }
        number += 1
        sent = SteadyEvent(channel, encode(event), event["id"], is_copy=False)
        if len(remembered) < _REMEMBERED_EVENTS:
            remembered.append(sent)
        else:
            remembered[number % _REMEMBERED_EVENTS] = sent
        yield sent


def _happening(name: str, customer: int, turn: float, dice: random.Random) -> tuple[str, str, str, dict[str, Any]]:
    """Source, channel, type and data; the first one of a customer is a look at a page, with nothing but a cookie."""
    cookie, account, email = f"c-{name}", f"a-{name}", f"p-{name}@example.com"
    if turn < 0.45:
        url = f"https://shop.example/p/{dice.randint(1, 400)}"
        data: dict[str, Any] = {"identifiers": {"cookie": cookie}, "summary": "Viewed a tent", "direction": "in"}
        return "shop-web", "web", "page.viewed", data | {"url": url}
    if turn < 0.6:
        data = {"identifiers": {"account": account, "cookie": cookie}, "summary": "Logged in", "direction": "in"}
        return "shop-web", "web", "account.logged_in", data
    if turn < 0.7:
        data = {"identifiers": {"account": account, "email": email}, "traits": {"language": dice.choice(("nl", "en"))}}
        return "shop-web", "web", "account.verified", data
    if turn < 0.85:
        refs = [{"kind": "order", "id": f"o-{name}-{dice.randint(1, 30)}", "status": "paid"}]
        data = {"identifiers": {"email": email}, "summary": "Bought a tent", "direction": "in", "refs": refs}
        return "shop-web", "web", "order.completed", data | {"traits": {"first_name": "Ann"}}
    if turn < 0.95:
        traits = {"segment": dice.choice(("gold", "silver")), "city": dice.choice(("Utrecht", "Gent", "Lille"))}
        return "crm", "crm", "customer.changed", {"identifiers": {"crm": name, "email": email}, "traits": traits}
    data = {"identifiers": {"crm": name, "phone": f"+3161{customer % 10_000_000:07}"}, "summary": "Called"}
    return "phone-desk", "voice", "call.identified", data | {"direction": "in"}
