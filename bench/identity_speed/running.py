"""Identity in a running system: how soon a merge of two large customers shows, and its undoing; new links a second."""

import itertools
import json
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, Final, NamedTuple

from confluent_kafka import Producer

from bench.identity_speed.alone import SECRET
from bench.identity_speed.population import Customers
from bench.memory import processor_seconds_of
from bench.own_system import OwnSystem, context_path
from bench.raw_feed import RawFeed
from schemas.errors import RestartNeeded
from schemas.identifiers import Identifier
from schemas.keys import Keyring
from schemas.messages import Order, SealedIdentifier, encode
from schemas.orders import OPERATOR_SOURCE, Authority, Verb
from schemas.topics import Catalogue, Topic

_SETTINGS: Final = {"GOLDENTHREAD_SECRET": SECRET.decode()}
# Past this something is wrong rather than slow.
_WAIT_SECONDS_MAX: Final = 600.0
# How exact the moment is at which something shows.
_POLL_SECONDS: Final = 0.02
# Identifiers by which the moment is found; all are asked afterwards.
_SAMPLE: Final = 25
_START: Final = "2026-01-05T10:%02d:%02d.%03dZ"


class Shown(NamedTuple):
    """What the lookup says of an identifier."""

    customer: str
    settling: bool
    interactions: int


class Delay(NamedTuple):
    """How long something took to show."""

    seconds: float
    #: What worker and lookup used of processors meanwhile: on a machine that others keep busy it says more.
    processor_seconds: float

    def __str__(self) -> str:
        return f"{self.seconds:.2f} s ({self.processor_seconds:.2f} s of processors)"


class LargeCustomers:
    """Two customers in a running system, each an e-mail with so many cookies and devices that typed it once."""

    def __init__(self, system: OwnSystem, processes: Sequence[int], fragments: int) -> None:
        self._system = system
        self._processes = processes
        self._fragments = fragments
        self._keyring = Keyring(SECRET)
        self._evidence = Catalogue().name(Topic.EVIDENCE)

    def identifiers(self, side: str) -> list[Identifier]:
        """All of one side, the e-mail first."""
        others = (
            Identifier("cookie" if number % 2 else "device", f"{side}-{number}") for number in range(1, self._fragments)
        )
        return [self._email(side), *others]

    def _email(self, side: str) -> Identifier:
        return Identifier("email", f"{side}@example.com")

    def build(self) -> None:
        """Send the events, and wait until both are whole: two of each fragment, one of which tells traits."""
        with RawFeed(self._system.bootstrap_servers) as feed:
            for side in "ab":
                email, *others = self.identifiers(side)
                for number, other in enumerate(others):
                    typed = {other.kind: other.value, email.kind: email.value}
                    feed.send("web", _event(f"{side}-typed-{number}", number, typed))
                    feed.send("web", _event(f"{side}-seen-{number}", number, {other.kind: other.value}))
                feed.send("web", _event(f"{side}-own", 0, {email.kind: email.value}))
        for side in "ab":
            self._await(sample(self.identifiers(side)), 2 * self._fragments - 1)

    def merge(self) -> Delay:
        """A record that names both addresses; returns how long until identifiers answer with the one customer."""
        emails = [self._email(side).value for side in "ab"]
        return self._timed(
            lambda: self._send_raw(_event("merge", 0, {"email": emails}, source="crm", kind="customer.created"), "crm"),
            [(self.identifiers("a") + self.identifiers("b"), 4 * self._fragments - 1)],
        )

    def split(self) -> Delay:
        """Order the pair apart; returns how long until the identifiers of each side answer with its own."""
        ends = [self._email(side) for side in "ab"]
        sealed = tuple(
            SealedIdentifier(fragment, end.kind, self._keyring.seal(end, fragment))
            for end, fragment in ((end, self._keyring.fragment_id(end)) for end in ends)
        )
        order = Order(OPERATOR_SOURCE, "bench", time.time_ns() // 1000, Authority.OPERATOR, Verb.SPLIT, sealed)
        # Whose the event is that showed both depends on the smaller address.
        return self._timed(
            lambda: _produce(self._system.bootstrap_servers, self._evidence, [encode(order)]),
            [(self.identifiers("a"), 2 * self._fragments), (self.identifiers("b"), 2 * self._fragments - 1)],
        )

    def _timed(self, act: Callable[[], None], expected: list[tuple[list[Identifier], int]]) -> Delay:
        started, used = time.monotonic(), self._processor_seconds()
        act()
        for identifiers, interactions in expected:
            self._await(sample(identifiers), interactions)
        delay = Delay(time.monotonic() - started, self._processor_seconds() - used)
        for identifiers, interactions in expected:
            self._await(identifiers, interactions)
        return delay

    def _processor_seconds(self) -> float:
        return sum(map(processor_seconds_of, self._processes))

    def _send_raw(self, value: bytes, channel: str) -> None:
        with RawFeed(self._system.bootstrap_servers) as feed:
            feed.send(channel, value)

    def _await(self, identifiers: list[Identifier], interactions: int) -> None:
        """Return once all answer with one customer that is not settling and has so many interactions."""
        deadline = time.monotonic() + _WAIT_SECONDS_MAX
        while True:
            last = self._ask(identifiers[-1])
            if last is not None and not last.settling and last.interactions == interactions:
                shown = [self._ask(identifier) for identifier in identifiers]
                if set(shown) == {last}:
                    return
            if time.monotonic() > deadline:
                raise RestartNeeded(f"after {_WAIT_SECONDS_MAX:.0f} s {identifiers[-1].kind} answers {last}")
            time.sleep(_POLL_SECONDS)

    def _ask(self, identifier: Identifier) -> Shown | None:
        url = self._system.lookup_url + context_path(identifier.kind, identifier.value)
        try:
            with urllib.request.urlopen(url, timeout=30) as answer:  # noqa: S310 - our own.
                context = json.load(answer)
        except urllib.error.HTTPError:
            return None
        return Shown(context["customer"], context["settling"], context["interactions"]["count"])


def sample(identifiers: list[Identifier]) -> list[Identifier]:
    """Some of them, spread evenly, the first and the last among them."""
    step = max(1, (len(identifiers) - 1) // (_SAMPLE - 1))
    return [*identifiers[:-1:step], identifiers[-1]]


def _event(
    name: str, number: int, identifiers: dict[str, Any], *, source: str = "shop-web", kind: str = "page.viewed"
) -> bytes:
    data = {"identifiers": identifiers, "traits": {"city": f"city {number % 7}"}, "summary": "Looked at a page"}
    when = _START % (number // 60 % 60, number % 60, number % 1000)
    head = {"specversion": "1.0", "id": name, "source": source, "type": kind, "time": when}
    return json.dumps(head | {"data": data}).encode()


def _produce(bootstrap_servers: str, topic: str, values: Iterable[bytes]) -> None:
    producer = Producer({"bootstrap.servers": bootstrap_servers, "linger.ms": 5, "enable.idempotence": True})
    for value in values:
        while True:
            try:
                producer.produce(topic, value, partition=0)
                break
            except BufferError:
                producer.poll(0.1)
    if producer.flush(60):
        raise RestartNeeded(f"the broker took not all records of {topic}")


def measure_merge(folder: Path, fragments: int) -> Iterator[str]:
    """Merge and split two customers in a system of its own; says how long each took to show."""
    with OwnSystem(folder, _SETTINGS) as system:
        processes = [system.start("worker"), system.start("lookup")]
        customers = LargeCustomers(system, processes, fragments)
        customers.build()
        yield f"two customers of {fragments} fragments each: merged after {customers.merge()}"
        yield f"split by an order after {customers.split()}"


def measure_links(folder: Path, links: int, seed: int = 1) -> Iterator[str]:
    """New links a second through the identity stage of a running worker, which tells fragments and owners as well."""
    keyring = Keyring(SECRET)
    records = []
    count = 0
    for link in itertools.islice(Customers(keyring, seed), links):
        records.append(link.value)
        count += link.pairs
    with OwnSystem(folder, _SETTINGS) as system:
        pid = system.start("worker")
        started, used = time.monotonic(), processor_seconds_of(pid)
        _produce(system.bootstrap_servers, Catalogue().name(Topic.EVIDENCE), records)
        while _applied(system) < len(records):
            system.verify_running("worker")
            if time.monotonic() - started > _WAIT_SECONDS_MAX:
                raise RestartNeeded(f"the worker applied {_applied(system)} of {len(records)} records")
            time.sleep(_POLL_SECONDS)
        seconds, used = time.monotonic() - started, processor_seconds_of(pid) - used
        yield (
            f"{count:,} new links in {seconds:.1f} s ({used:.1f} s of the worker's processor): "
            f"{count / seconds:,.0f} a second"
        )


def _applied(system: OwnSystem) -> int:
    metrics = system.metrics(system.worker_url)
    return int(metrics("goldenthread_events_processed_total", stage="identity", outcome="applied"))
