"""What is sent: events of made-up customers, twice, late and out of order, orders, and some that nobody takes."""

import random
from collections.abc import Iterator
from typing import Any, Final, NamedTuple

from bench.drill.ordering import Ordering
from bench.generator import Plan, encode, generate
from bench.oracle import PlainOrder, PlainUndo
from schemas.errors import DeadCode

Event = dict[str, Any]
#: Days that the events tell of: more than a context shows by day.
SPAN_DAYS: Final = 40
# So many events of a customer on average.
_EVENTS_PER_CUSTOMER: Final = 30
_CUSTOMERS: Final = (40, 1_500)
#: Of all that is sent, these shares are copies, late, and no events at all.
DUPLICATE_SHARE: Final = 0.1
LATE_SHARE: Final = 0.05
BAD_SHARE: Final = 0.01
#: Orders about who is who for each event, and the share of them that is sent twice.
ORDER_SHARE: Final = 0.04
_ORDER_COPIES: Final = 0.1
#: The channel of what is bad, as far as it has one.
BAD_CHANNEL: Final = "web"


class Sending(NamedTuple):
    """One thing to send."""

    #: Where it goes, when it goes straight to Kafka.
    channel: str
    body: bytes
    #: None for what is no event: only a producer to Kafka can send that.
    event: Event | None
    #: The code of the dead letter that must come of it; None for a good one.
    code: DeadCode | None = None
    #: An operator's order about who is who, or its undo, which goes straight to identity; then there is no body.
    order: PlainOrder | PlainUndo | None = None


def workload(seed: int, events: int) -> Iterator[Sending]:
    """Everything to send, in order; deterministic.

    Args:
        seed: any number.
        events: how many distinct good ones; copies, orders and bad ones come on top.
    """
    dice = random.Random(f"workload/{seed}")
    fewest, most = _CUSTOMERS
    plan = Plan(
        customers=min(most, max(fewest, events // _EVENTS_PER_CUSTOMER)),
        events=events,
        seed=seed,
        events_per_second=max(1, events) / (SPAN_DAYS * 86_400),
        duplicate_share=DUPLICATE_SHARE,
        late_share=LATE_SHARE,
    )
    bad = 0
    ordering = Ordering(seed)
    for event in generate(plan):
        yield Sending(event["channel"], encode(event), event)
        ordering.show(event)
        if dice.random() < ORDER_SHARE:
            yield from _order(ordering, event, twice=dice.random() < _ORDER_COPIES)
        if dice.random() < BAD_SHARE:
            bad += 1
            yield bad_event(bad)


def _order(ordering: Ordering, event: Event, *, twice: bool) -> Iterator[Sending]:
    order = ordering.next(event)
    if isinstance(order, dict):
        yield Sending(order["channel"], encode(order), order)
    elif order is not None:
        yield from [Sending("", b"", None, order=order)] * (2 if twice else 1)


def bad_event(number: int) -> Sending:
    """A thing that nobody takes; another for each number, and each kind in its turn."""
    good = {
        "specversion": "1.0",
        "id": f"bad-{number}",
        "source": "drill-bad",
        "type": "tried",
        "time": "2025-01-06T00:00:00Z",
        "channel": BAD_CHANNEL,
        "data": {"identifiers": {"email": f"bad-{number}@drill.example"}},
    }
    kinds: tuple[tuple[DeadCode, bytes], ...] = (
        (DeadCode.NOT_JSON, encode(good)[:-1]),
        (DeadCode.MISSING_ATTRIBUTE, encode({name: value for name, value in good.items() if name != "type"})),
        (DeadCode.INVALID_TIME, encode(good | {"time": "yesterday"})),
        (DeadCode.FUTURE_TIME, encode(good | {"time": "2999-01-01T00:00:00Z"})),
        (DeadCode.NO_USABLE_IDENTIFIER, encode(good | {"data": {"identifiers": {"session": "s-1"}}})),
        (DeadCode.CHANNEL_MISMATCH, encode(good | {"channel": "chat"})),
    )
    code, body = kinds[number % len(kinds)]
    return Sending(BAD_CHANNEL, body, None, code)
