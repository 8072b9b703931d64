"""What happens in the job: a pure function of a plan, so that no run differs from another and copies cost no memory.

Event number n is drawn from a hash of the seed and n alone. Its place in the order of arrival is up to a hundred places
late; a copy of it may arrive anywhere later.
"""

import base64
import functools
import random
from collections.abc import Iterator
from typing import Any, Final, NamedTuple

import msgspec

from schemas.times import MICROSECONDS_PER_DAY, MICROSECONDS_PER_SECOND

#: Monday, 2025-01-06.
START_US: Final = 1_736_121_600_000_000
#: Fewer days than any engine keeps counts for.
SPAN_DAYS: Final = 20
_MASK: Final = (1 << 64) - 1
# Of whole seconds, milliseconds and microseconds an engine must understand each.
_TIME_STEPS_US: Final = (1_000_000, 1_000, 1_000, 1)


class Plan(msgspec.Struct, frozen=True):
    """How many events of whom; the same plan gives the same events."""

    #: Distinct ones; copies come on top.
    events: int = 300_000
    customers: int = 20_000
    seed: int = 1
    #: Of all distinct events so many arrive twice.
    duplicate_share: float = 0.05
    #: Events arrive up to so many places later than they belong.
    disorder_events: int = 100
    #: One customer has this share of all events on top of its own.
    hot_share: float = 0.0
    #: Incompressible text that each event carries on top.
    padding_bytes: int = 0
    #: Customer after customer instead of by chance: as many events as customers make each of them known.
    in_turn: bool = False
    #: Goes before the numbers in ids, so that two plans can follow each other.
    part: str = ""


class Event(NamedTuple):
    """One thing that happened to one customer."""

    #: From 0 to the plan's customers.
    customer: int
    id: str
    source: str
    type: str
    time_us: int
    channel: str
    #: "in", "out" or "".
    direction: str
    summary: str
    traits: dict[str, Any]
    data: dict[str, Any]
    #: 64 bits by which whoever needs more chance may go on.
    chance: int


class Shape(NamedTuple):
    """A sort of events."""

    source: str
    channel: str
    type: str
    direction: str
    summary: str


SHAPES: Final = (
    Shape("shop-web", "web", "page.viewed", "in", "Viewed a page of the catalogue"),
    Shape("shop-web", "web", "product.viewed", "in", "Viewed a product of the autumn collection"),
    Shape("shop-web", "web", "product.searched", "in", "Searched the catalogue"),
    Shape("shop-web", "web", "cart.changed", "in", ""),
    Shape("shop-web", "web", "order.completed", "in", "Completed an order"),
    Shape("shop-app", "app", "screen.viewed", "in", "Viewed a screen of the app"),
    Shape("shop-app", "app", "message.opened", "in", "Opened a message in the app"),
    Shape("mail-desk", "email", "mail.sent", "out", "Was sent the weekly letter"),
    Shape("mail-desk", "email", "mail.received", "in", "Asked about a delivery"),
    Shape("phone-desk", "voice", "call.ended", "in", "Called about a return"),
    Shape("phone-desk", "voice", "callback.made", "out", "Was called back about a return"),
    Shape("billing", "billing", "invoice.sent", "", "Was sent an invoice"),
)
_NOISE_SIZE_BYTES: Final = 8 * 1024 * 1024
_CITIES: Final = ("Amsterdam", "Bruges", "Cologne", "Dijon", "Essen", "Florence", "Ghent", "Hamburg")
_SEGMENTS: Final = ("bronze", "silver", "gold")
_TRAITS: Final = ("city", "segment", "language", "newsletter", "visits", "size")


def mixed(seed: int, number: int) -> int:
    """64 bits that look like chance, of two numbers (the finaliser of SplitMix64)."""
    bits = (seed * 0xD1342543DE82EF95 + (number + 1) * 0x9E3779B97F4A7C15) & _MASK
    bits = (bits ^ (bits >> 30)) * 0xBF58476D1CE4E5B9 & _MASK
    bits = (bits ^ (bits >> 27)) * 0x94D049BB133111EB & _MASK
    return bits ^ (bits >> 31)


def event(plan: Plan, number: int) -> Event:
    """The event of that number."""
    bits = mixed(plan.seed, number)
    more = mixed(plan.seed + 1, number)
    shape = SHAPES[bits % len(SHAPES)]
    if plan.in_turn:
        customer = number % plan.customers
    elif (more >> 40) % 1_000_000 < plan.hot_share * 1_000_000:
        customer = 0
    else:
        customer = (bits >> 24) % plan.customers
    step = _TIME_STEPS_US[bits >> 8 & 3]
    time_us = START_US + number * SPAN_DAYS * MICROSECONDS_PER_DAY // plan.events + more % MICROSECONDS_PER_SECOND
    return Event(
        customer,
        f"{plan.part}{number:08x}-{bits >> 48:04x}",
        shape.source,
        shape.type,
        time_us // step * step,
        shape.channel,
        shape.direction,
        f"{shape.summary}, number {bits >> 12 & 0xFFF}" if shape.summary else "",
        _traits(bits >> 10, more),
        _data(plan, bits, more),
        more,
    )


def _traits(bits: int, more: int) -> dict[str, Any]:
    """None in three of four events, one in three of sixteen, two in one of sixteen."""
    count = (0, 0, 0, 1)[bits & 3] + (1 if bits & 15 == 15 else 0)
    return {(name := _TRAITS[(more + place) % len(_TRAITS)]): _trait(name, more >> 4) for place in range(count)}


def _trait(name: str, bits: int) -> Any:
    match name:
        case "city":
            return _CITIES[bits % len(_CITIES)]
        case "segment":
            return _SEGMENTS[bits % len(_SEGMENTS)]
        case "language":
            return "nl" if bits & 1 else "en"
        case "newsletter":
            return bool(bits & 1)
        case "visits":
            return bits % 1_000
        case _:
            return {"shoe": 36 + bits % 12, "shirt": "M" if bits & 1 else "L"}


def _data(plan: Plan, bits: int, more: int) -> dict[str, Any]:
    data: dict[str, Any] = {
        "url": f"https://shop.example/c/{more % 40}/p/{more >> 8 & 0x3FFF}",
        "device": ("phone", "tablet", "desktop", "till")[more >> 24 & 3],
        "amount_cents": more >> 28 & 0xFFFF,
        "campaign": f"c-{bits >> 32 & 0xFF}",
        "visit": f"{bits & 0xFFFFFFFF:08x}",
    }
    if plan.padding_bytes:
        noise = _noise(plan.seed)
        start = bits % (len(noise) - plan.padding_bytes)
        data["note"] = noise[start : start + plan.padding_bytes]
    return data


@functools.cache
def _noise(seed: int) -> str:
    """Text that no compression makes small, many times longer than what a compressor looks back at."""
    return base64.b64encode(random.Random(seed).randbytes(_NOISE_SIZE_BYTES)).decode()


def arrivals(plan: Plan) -> Iterator[int]:
    """The numbers of events in the order of their arrival, copies among them."""
    share = int(plan.duplicate_share * 1_000_000)
    places: list[tuple[int, int]] = []
    for number in range(plan.events):
        bits = mixed(plan.seed + 2, number)
        places.append((number + bits % (plan.disorder_events + 1), number))
        if (bits >> 20) % 1_000_000 < share:
            # Anywhere from just behind the original to the end, however far.
            reach = plan.events - number
            places.append((number + plan.disorder_events + 1 + (bits >> 40) % reach, number))
    places.sort()
    return (number for _, number in places)
