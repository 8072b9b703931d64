"""One measurement of the lookup in a system of its own, while events keep coming; and where its capacity ends."""

import asyncio
import http.client
import itertools
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final

import msgspec

from bench.load.connections import Connections, get
from bench.load.latencies import Latencies
from bench.load.process import LoadProcess
from bench.lookup_load.client import ClientOutcome, ClientPlan, Question
from bench.lookup_load.contexts import address_of, publish_contexts
from bench.memory import ProcessorsUsed
from bench.own_system import CHANNELS, OwnSystem, context_path, folder_for
from bench.raw_feed import RawFeed
from bench.steady_events import EVENTS_PER_CUSTOMER, steady_events
from schemas.errors import RestartNeeded
from schemas.identifiers import Identifier
from schemas.keys import Keyring
from schemas.topics import Catalogue

_CLIENT: Final = "bench.lookup_load.client"
_SECRET: Final = "a secret for benchmarks only"  # noqa: S105 - of a system that ends with the benchmark.
_FILL_SECONDS_MAX: Final = 900.0
# Paths of each sort, asked in turn: enough that the copy's cache does not hold them all where there are a million.
_PATHS: Final = 20_000
# Ids and values that nobody has.
_ABSENT: Final = "absent-"
_PIECES_PER_SECOND: Final = 50
_ASKED_AT_ONCE: Final = 8
_BY_ID: Final = "/v1/customers/{}/context"
_SETTLE_SECONDS: Final = 1.0


class LookupPlan(msgspec.Struct, frozen=True, kw_only=True):
    """What is asked, and what goes on meanwhile.

    Attributes:
        requests_per_second: The pace, over all sorts of question.
        seconds: How long.
        settle_seconds: At the pace, before anything counts.
        events_per_second: That are taken in meanwhile.
        warm_events: Taken in before: every tenth is a new customer.
        customers: Published at once, instead of those of the events; 0: those of the events are asked for.
        p99_ms_max: Up to which the capacity counts.
        capacity_step: Requests a second from one step of the search to the next; 0 leaves the search out.
        capacity_seconds: How long each step takes.
        capacity_max: Where the search ends at the latest.
        connections: That the client holds.
        partitions: Of each topic.
        seed: The same one gives the same events.
        settings: Of the processes, on top.
    """

    requests_per_second: float = 2_000.0
    seconds: float = 60.0
    settle_seconds: float = 3.0
    events_per_second: float = 2_000.0
    warm_events: int = 200_000
    customers: int = 0
    p99_ms_max: float = 10.0
    capacity_step: float = 1_000.0
    capacity_seconds: float = 5.0
    capacity_max: float = 30_000.0
    connections: int = 128
    partitions: int = 4
    seed: int = 1
    settings: dict[str, str] = {}

    @classmethod
    def quick(cls) -> "LookupPlan":
        """Some 20 seconds, starts included."""
        return cls(seconds=8.0, settle_seconds=2.0, warm_events=20_000, capacity_step=0.0)


class _Shown(msgspec.Struct):
    customer: str


_SHOWN: Final = msgspec.json.Decoder(_Shown)


class Step(msgspec.Struct, frozen=True, kw_only=True):
    """One step of the search for the capacity."""

    requests_per_second: float
    latencies: Latencies


class LookupLoad(msgspec.Struct, frozen=True, kw_only=True):
    """What was measured."""

    plan: LookupPlan
    customers: int
    overall: Latencies
    by_question: dict[str, Latencies]
    statuses: dict[int, int]
    steps: list[Step]
    #: The most requests a second at which p99 stays within the plan's bound; None where it was not looked for.
    capacity_per_second: float | None
    #: Events a second that were really sent meanwhile.
    events_per_second: float
    #: Processors that each process used, on average; the broker is not among them.
    processors: dict[str, float]


def measure(
    plan: LookupPlan,
    folder: Path | None = None,
    tell: Callable[[str], None] | None = None,
    *,
    brokers: str | None = None,
) -> LookupLoad:
    """Measure in a system of its own.

    1. Fill the copy. 2. Ask at the pace while events come. 3. Ask ever faster, until it takes too long.

    Args:
        plan: What is asked.
        folder: Where all of it is kept; a temporary one where none is given.
        tell: Told how far it is.
        brokers: A broker that is there already; None starts one.

    Raises:
        RestartNeeded: a process ended, or nothing moved.
    """
    settings = {"GOLDENTHREAD_PARTITIONS": str(plan.partitions), "GOLDENTHREAD_SECRET": _SECRET} | plan.settings
    with (
        folder_for("lookup", folder) as kept,
        OwnSystem(kept, settings, bootstrap_servers=brokers) as system,
        RawFeed(system.bootstrap_servers) as feed,
    ):
        run = _Run(plan, kept, system, feed, tell or _nobody)
        # 1. Fill.
        run.fill()
        with run.feeding():
            # 2. At the pace.
            outcome, processors = run.ask(plan.requests_per_second, plan.seconds, plan.settle_seconds)
            tell_of = tell or _nobody
            tell_of(f"{plan.requests_per_second:,.0f} requests/s: {outcome.overall}")
            # 3. Ever faster.
            steps = list(run.search()) if plan.capacity_step else []
        within = [step.requests_per_second for step in steps if step.latencies.p99_ms <= plan.p99_ms_max]
        return LookupLoad(
            plan=plan,
            customers=run.customers,
            overall=outcome.overall,
            by_question=outcome.by_question,
            statuses=outcome.statuses,
            steps=steps,
            capacity_per_second=max(within, default=0.0) if steps else None,
            events_per_second=run.fed_per_second,
            processors=processors,
        )


class _Feeding:
    """Events at a pace, in a thread, while the context is open."""

    def __init__(self, feed: RawFeed, plan: LookupPlan) -> None:
        self._feed = feed
        self._plan = plan
        self._events = steady_events(plan.seed)
        self._ending = threading.Event()
        self._thread = threading.Thread(target=self._run, name="feeding", daemon=True)
        self._began = 0.0
        self._before = 0
        self.per_second = 0.0

    def warm(self, count: int) -> int:
        """Send so many at once; returns how many customers came with them."""
        distinct = 0
        for event in itertools.islice(self._events, count):
            self._feed.send(event.channel, event.value)
            distinct += not event.is_copy
        self._feed.flush()
        return distinct // EVENTS_PER_CUSTOMER

    def __enter__(self) -> None:
        self._began, self._before = time.monotonic(), self._feed.sent
        if self._plan.events_per_second:
            self._thread.start()

    def __exit__(self, *_: object) -> None:
        self._ending.set()
        if self._thread.is_alive():
            self._thread.join()
        self.per_second = round((self._feed.sent - self._before) / (time.monotonic() - self._began), 1)

    def _run(self) -> None:
        piece = max(1, round(self._plan.events_per_second / _PIECES_PER_SECOND))
        for number in itertools.count(1):
            for event in itertools.islice(self._events, piece):
                self._feed.send(event.channel, event.value)
            due = self._began + number * piece / self._plan.events_per_second
            if self._ending.wait(max(0.0, due - time.monotonic())):
                return


class _Run:
    """One system, the events that it gets, and what it is asked."""

    def __init__(
        self, plan: LookupPlan, folder: Path, system: OwnSystem, feed: RawFeed, tell: Callable[[str], None]
    ) -> None:
        self._plan = plan
        self._folder = folder
        self._system = system
        self._tell = tell
        self._feeding = _Feeding(feed, plan)
        self._keyring = Keyring(_SECRET.encode())
        self._catalogue = Catalogue(partitions=plan.partitions, channels=tuple(CHANNELS.split(",")))
        self._pids: dict[str, int] = {}
        self._questions: list[Question] = []
        self.customers = 0

    @property
    def fed_per_second(self) -> float:
        """How many events a second were really sent."""
        return self._feeding.per_second

    def feeding(self) -> _Feeding:
        """A context in which events come."""
        return self._feeding

    def fill(self) -> None:
        """Start the processes, and give them customers to know."""
        plan = self._plan
        if plan.customers:
            began = time.monotonic()
            publish_contexts(self._system.bootstrap_servers, self._catalogue, self._keyring, plan.customers)
            self._tell(f"{plan.customers:,} contexts published in {time.monotonic() - began:.1f} s")
        self._pids = self._system.start_all(("worker", "lookup"))
        came = self._feeding.warm(plan.warm_events)
        self.customers = plan.customers or came
        self._system.wait_quiet(_FILL_SECONDS_MAX)
        self._questions = self._made_questions()
        self._tell(f"the lookup knows {self.customers:,} customers and more")

    def ask(self, per_second: float, seconds: float, settle_seconds: float) -> tuple[ClientOutcome, dict[str, float]]:
        """Ask at a pace; what came of it, and the processors used meanwhile."""
        used = ProcessorsUsed(self._pids)
        client = LoadProcess(
            _CLIENT,
            ClientPlan(
                lookup=self._system.lookup_address,
                requests_per_second=per_second,
                seconds=seconds,
                settle_seconds=settle_seconds,
                connections=self._plan.connections,
                questions=self._questions,
            ),
            self._folder,
        )
        try:
            outcome = client.outcome(ClientOutcome, settle_seconds + seconds)
        finally:
            client.end()
        return outcome, used.average()

    def search(self) -> Iterator[Step]:
        """Ask ever faster, until two paces in a row took too long."""
        plan, late = self._plan, 0
        per_second = plan.capacity_step
        while per_second <= plan.capacity_max and late < 2:
            latencies = self.ask(per_second, plan.capacity_seconds, _SETTLE_SECONDS)[0].overall
            self._tell(f"{per_second:,.0f} requests/s: {latencies}")
            late = late + 1 if latencies.p99_ms > plan.p99_ms_max else 0
            yield Step(requests_per_second=per_second, latencies=latencies)
            per_second += plan.capacity_step

    def _made_questions(self) -> list[Question]:
        """Known customers by id and by identifier, and as many ids and identifiers that nobody has."""
        step = max(1, self.customers // _PATHS)
        numbers = range(0, self.customers, step)
        if self._plan.customers:
            known = [Identifier("email", address_of(number)) for number in numbers]
        else:
            known = [Identifier("cookie", f"c-{self._plan.seed}-{number + 1}") for number in numbers]
        ids = asyncio.run(self._ids_of(known))
        absent = [identifier._replace(value=_ABSENT + identifier.value) for identifier in known]
        return [
            Question("by id, hit", [_BY_ID.format(customer) for customer in ids], 40),
            Question("by identifier, hit", [_by_identifier(identifier) for identifier in known], 40),
            Question("by id, miss", [_BY_ID.format(self._keyring.fragment_id(one)) for one in absent], 10),
            Question("by identifier, miss", [_by_identifier(identifier) for identifier in absent], 10),
        ]

    async def _ids_of(self, known: list[Identifier]) -> list[str]:
        """The ids of the customers that the identifiers lead to now."""
        host, port = self._system.lookup_address
        found: list[str] = []
        async with Connections(host, port, _ASKED_AT_ONCE) as connections:
            for start in range(0, len(known), _ASKED_AT_ONCE):
                chunk = known[start : start + _ASKED_AT_ONCE]
                questions = [connections.ask(get(host, port, _by_identifier(identifier))) for identifier in chunk]
                for answer in await asyncio.gather(*questions):
                    if answer.status != http.client.OK:
                        raise RestartNeeded(f"an identifier that was sent is answered with {answer.status}")
                    found.append(_SHOWN.decode(answer.body).customer)
        return found


def _by_identifier(identifier: Identifier) -> str:
    return context_path(identifier.kind, identifier.value)


def lines(load: LookupLoad) -> Iterator[str]:
    """The report as text."""
    plan = load.plan
    yield (
        f"lookup at {plan.requests_per_second:,.0f} requests/s, open loop, from when a request was due; "
        f"{load.customers:,} customers, {load.events_per_second:,.0f} events/s coming in"
    )
    yield f"  {'all':22}{load.overall}"
    for name, latencies in load.by_question.items():
        yield f"  {name:22}{latencies}"
    yield "  answers by status: " + ", ".join(
        f"{status} {number:,}" for status, number in sorted(load.statuses.items())
    )
    yield "  processors used: " + ", ".join(f"{name} {used:.2f}" for name, used in load.processors.items())
    for step in load.steps:
        yield f"  {step.requests_per_second:14,.0f} requests/s {step.latencies}"
    if load.capacity_per_second is not None:
        yield f"  capacity at p99 within {plan.p99_ms_max:g} ms: {load.capacity_per_second:,.0f} requests/s"


def _nobody(_line: str) -> None:
    """Told nothing."""
