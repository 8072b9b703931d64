"""One measurement of freshness in a system of its own: a steady pace, and the same while a second worker joins.

Events are sent when they are due, whatever became of those before; latencies count from there, or from the answer of
collect where they say so. *Visible* is when a client that asks the lookup for the event has the answer that shows it: a
moment later than it was first shown, never earlier.
"""

import itertools
import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any, Final, NamedTuple

import msgspec

from bench.freshness.client import ClientOutcome, ClientPlan, Shot
from bench.freshness.hops import Passed, ends, passed_since
from bench.load.connections import post
from bench.load.latencies import Latencies, latencies_of
from bench.load.process import LoadProcess
from bench.memory import ProcessorsUsed
from bench.own_system import CHANNELS, SECOND_WORKER, OwnSystem, context_path, folder_for
from bench.raw_feed import RawFeed
from bench.steady_events import SteadyEvent, steady_events
from schemas.event import BATCH_CONTENT_TYPE, STRUCTURED_CONTENT_TYPE
from schemas.topics import Catalogue
from streams.kafka import KafkaOptions

_MICROSECONDS: Final = 1_000_000
_CLIENT: Final = "bench.freshness.client"
_ACCEPTED: Final = 202
_WARM_SECONDS_MAX: Final = 300.0
# More would be asked for than is a sample.
_SAMPLES_PER_SECOND_MAX: Final = 50
_LOADED_SHARE: Final = 0.7
_NO_EVENT: Final = Passed()


class FreshnessPlan(msgspec.Struct, frozen=True, kw_only=True):
    """What is sent.

    Attributes:
        events_per_second: The pace.
        seconds: How long.
        settle_seconds: At the pace, before anything counts.
        join_seconds: How long the pace is kept while a second worker joins; 0 leaves that out.
        events_per_request: 1 is an event by itself, as channels send them; more are batches.
        capacity_per_second: Events a second that the system can carry; 70 % of it is measured too. 0 leaves that out.
        capacity_events_per_request: As `events_per_request`, at that pace: at it senders send batches.
        warm_events: Sent before, as fast as they are taken: every tenth is a new customer.
        samples_per_second: Events that the lookup is asked for.
        connections: That the sender holds.
        partitions: Of each topic.
        seed: The same one gives the same events.
        settings: Of the processes, on top.
    """

    events_per_second: float = 2_000.0
    seconds: float = 60.0
    settle_seconds: float = 3.0
    join_seconds: float = 30.0
    events_per_request: int = 1
    capacity_per_second: float = 0.0
    capacity_events_per_request: int = 20
    warm_events: int = 200_000
    samples_per_second: int = 20
    poll_seconds: float = 0.02
    seen_seconds_max: float = 60.0
    connections: int = 128
    partitions: int = 4
    seed: int = 1
    settings: dict[str, str] = {}

    @classmethod
    def quick(cls) -> "FreshnessPlan":
        """Some 30 seconds, starts included."""
        return cls(seconds=8.0, settle_seconds=6.0, join_seconds=0.0, warm_events=20_000)


class Hops(msgspec.Struct, frozen=True, kw_only=True):
    """Where the time goes, one after the other; the first four are of all events, the last is of the sample."""

    due_to_accepted: Latencies
    due_to_raw: Latencies
    raw_to_routed: Latencies
    routed_to_published: Latencies
    published_to_visible: Latencies


class Pace(msgspec.Struct, frozen=True, kw_only=True):
    """What came of one stretch at a pace."""

    events: int
    refused: int
    #: Events of the sample that the lookup never showed.
    missing: int
    #: From the moment at which an event was due, of the sample.
    to_visible: Latencies
    #: From collect's answer.
    accepted_to_visible: Latencies
    hops: Hops
    #: Of the lookup, for the sample, in a second.
    questions_per_second: float
    #: Processors that each process used, on average; the broker is not among them, and neither are others' programs.
    processors: dict[str, float]


class Freshness(msgspec.Struct, frozen=True, kw_only=True):
    """What was measured."""

    plan: FreshnessPlan
    steady: Pace
    #: At 70 % of the capacity that was given.
    loaded: Pace | None
    joining: Pace | None
    #: How long the second worker took until it was ready.
    joined_seconds: float | None

    @property
    def to_visible(self) -> Latencies:
        """The headline, at a steady pace: from collect's answer. From when an event was due is told beside it."""
        return self.steady.accepted_to_visible


def measure(
    plan: FreshnessPlan,
    folder: Path | None = None,
    tell: Callable[[str], None] | None = None,
    *,
    brokers: str | None = None,
) -> Freshness:
    """Measure in a system of its own.

    1. Start worker, lookup and collect, and fill them. 2. Send at the pace. 3. Send on while a second worker joins.

    Args:
        plan: What is sent.
        folder: Where all of it is kept; a temporary one where none is given.
        tell: Told how far it is.
        brokers: A broker that is there already; None starts one.

    Raises:
        RestartNeeded: a process ended, or nothing moved.
    """
    settings = {"GOLDENTHREAD_PARTITIONS": str(plan.partitions)} | plan.settings
    with (
        folder_for("freshness", folder) as kept,
        OwnSystem(kept, settings, bootstrap_servers=brokers) as system,
    ):
        run = _Run(plan, kept, system, tell or _nobody)
        # 1. Start, and fill.
        run.fill()
        # 2. At the pace.
        steady = run.pace("steady", plan.seconds)
        loaded = None
        if plan.capacity_per_second:
            loaded = run.pace("loaded", plan.seconds, at=_Rate.loaded(plan))
        # 3. While a second worker joins.
        joining = joined = None
        if plan.join_seconds:
            joining = run.pace("joining", plan.join_seconds, beside=run.join)
            joined = run.joined_seconds
        return Freshness(plan=plan, steady=steady, loaded=loaded, joining=joining, joined_seconds=joined)


class _Rate(NamedTuple):
    """A pace, and how its events are sent."""

    events_per_second: float
    events_per_request: int

    @classmethod
    def loaded(cls, plan: FreshnessPlan) -> "_Rate":
        """That at which the system is well used."""
        return cls(_LOADED_SHARE * plan.capacity_per_second, plan.capacity_events_per_request)


class _Run:
    """One system, and the events that it gets."""

    def __init__(self, plan: FreshnessPlan, folder: Path, system: OwnSystem, tell: Callable[[str], None]) -> None:
        self._plan = plan
        self._folder = folder
        self._system = system
        self._tell = tell
        self._events = steady_events(plan.seed)
        self._kafka = KafkaOptions(system.bootstrap_servers)
        self._catalogue = Catalogue(partitions=plan.partitions, channels=tuple(CHANNELS.split(",")))
        self._pids: dict[str, int] = {}
        self.joined_seconds: float | None = None

    def fill(self) -> None:
        """Start the processes and give them customers to know."""
        self._pids = self._system.start_all(("worker", "lookup", "collect"))
        with RawFeed(self._system.bootstrap_servers) as feed:
            for event in itertools.islice(self._events, self._plan.warm_events):
                feed.send(event.channel, event.value)
        self._system.wait_quiet(_WARM_SECONDS_MAX)
        self._tell(f"filled with {self._plan.warm_events:,} events")

    def join(self) -> None:
        """Start a second worker, and wait until it has been ready for a moment."""
        began = time.monotonic()
        self._system.start(SECOND_WORKER)
        self.joined_seconds = round(time.monotonic() - began, 1)
        self._tell(f"the second worker was ready after {self.joined_seconds} s")

    def pace(
        self, name: str, seconds: float, *, at: "_Rate | None" = None, beside: Callable[[], None] | None = None
    ) -> Pace:
        """One stretch, at the plan's pace or another."""
        plan = self._plan
        rate = at or _Rate(plan.events_per_second, plan.events_per_request)
        requests_per_second = rate.events_per_second / rate.events_per_request
        settling = round(plan.settle_seconds * requests_per_second)
        count = settling + round(seconds * requests_per_second)
        shots = list(itertools.islice(self._shots(requests_per_second, rate.events_per_request), count))
        starts = ends(self._kafka, self._catalogue)
        used = ProcessorsUsed(self._pids)
        client = LoadProcess(
            _CLIENT,
            ClientPlan(
                collect=self._system.collect_address,
                lookup=self._system.lookup_address,
                requests_per_second=requests_per_second,
                connections=plan.connections,
                poll_seconds=plan.poll_seconds,
                seen_seconds_max=plan.seen_seconds_max,
                shots=shots,
            ),
            self._folder,
        )
        try:
            if beside is not None:
                time.sleep(plan.settle_seconds)
                beside()
            outcome = client.outcome(ClientOutcome, plan.settle_seconds + seconds + plan.seen_seconds_max)
        finally:
            client.end()
        processors = used.average()
        pace = pace_of(shots, outcome, passed_since(self._kafka, self._catalogue, starts), settling, processors)
        self._tell(f"{name}: {pace.events:,} events, visible after {pace.to_visible}")
        return pace

    def _shots(self, requests_per_second: float, events_per_request: int) -> Iterator[Shot]:
        samples_per_second = min(self._plan.samples_per_second, _SAMPLES_PER_SECOND_MAX)
        every = max(1, round(requests_per_second / samples_per_second))
        for number in itertools.count():
            events = list(itertools.islice(self._events, events_per_request))
            if events_per_request == 1:
                media_type, body = STRUCTURED_CONTENT_TYPE, events[0].value
            else:
                media_type, body = BATCH_CONTENT_TYPE, b"[" + b",".join(event.value for event in events) + b"]"
            request = post(*self._system.collect_address, "/v1/events", media_type, body)
            first = [event for event in events if not event.is_copy]
            shot = Shot(request, [event.id for event in first])
            # The last of a batch stands for it.
            yield sampled(shot, first[-1]) if first and number % every == 0 else shot


def sampled(shot: Shot, event: SteadyEvent) -> Shot:
    """The shot, of which the lookup is asked for this event: by the identifier that it names first."""
    identifiers: dict[str, Any] = msgspec.json.decode(event.value)["data"]["identifiers"]
    kind, value = next(iter(identifiers.items()))
    return msgspec.structs.replace(shot, path=context_path(kind, value), sample=event.id)


def pace_of(
    shots: list[Shot],
    outcome: ClientOutcome,
    passed: dict[str, Passed],
    settling: int,
    processors: dict[str, float],
) -> Pace:
    """The figures of a stretch, without its first requests."""
    counted = list(zip(shots, outcome.requests, strict=True))[settling:]
    accepted = [(shot, sent) for shot, sent in counted if sent.status == _ACCEPTED]
    # One line for each event: when it was due, and where it passed by.
    ways = [(sent.due_us, passed.get(event, _NO_EVENT)) for shot, sent in accepted for event in shot.events]
    seen = [(shot, sent, outcome.seen_us[shot.sample]) for shot, sent in accepted if shot.sample in outcome.seen_us]
    published = [(passed.get(shot.sample, _NO_EVENT).published_us, seen_us) for shot, _, seen_us in seen]
    hops = Hops(
        due_to_accepted=_latencies(sent.answered_us - sent.due_us for _, sent in counted),
        due_to_raw=_latencies(way.received_us - due_us for due_us, way in ways if way.received_us),
        raw_to_routed=_latencies(
            way.routed_us - way.received_us for _, way in ways if way.routed_us and way.received_us
        ),
        routed_to_published=_latencies(
            way.published_us - way.routed_us for _, way in ways if way.published_us and way.routed_us
        ),
        published_to_visible=_latencies(seen_us - published_us for published_us, seen_us in published if published_us),
    )
    counted_samples = {shot.sample for shot, _ in counted if shot.sample}
    return Pace(
        events=sum(len(shot.events) for shot, _ in accepted),
        refused=len(counted) - len(accepted),
        missing=len(counted_samples.intersection(outcome.missing)),
        to_visible=_latencies(seen_us - sent.due_us for _, sent, seen_us in seen),
        accepted_to_visible=_latencies(seen_us - sent.answered_us for _, sent, seen_us in seen),
        hops=hops,
        questions_per_second=round(outcome.questions * _MICROSECONDS / max(1, spent_us(outcome)), 1),
        processors=processors,
    )


def spent_us(outcome: ClientOutcome) -> int:
    """From the first request to the last thing seen."""
    last_us = max([*outcome.seen_us.values(), *(sent.answered_us for sent in outcome.requests)], default=0)
    return last_us - outcome.requests[0].due_us if outcome.requests else 0


def lines(freshness: Freshness) -> Iterator[str]:
    """The report as text."""
    plan = freshness.plan
    how = "each by itself" if plan.events_per_request == 1 else f"{plan.events_per_request} in a request"
    yield f"freshness at {plan.events_per_second:,.0f} events/s, {how}, open loop, from when an event was due"
    yield from _pace_lines("steady", freshness.steady)
    if freshness.loaded is not None:
        rate = _Rate.loaded(plan)
        name = f"at {rate.events_per_second:,.0f} events/s, {rate.events_per_request} in a request"
        yield from _pace_lines(name, freshness.loaded)
    if freshness.joining is not None:
        yield from _pace_lines(
            f"while a second worker joins, ready after {freshness.joined_seconds} s", freshness.joining
        )


def _pace_lines(name: str, pace: Pace) -> Iterator[str]:
    yield f"{name}: {pace.events:,} events, {pace.refused} requests refused, {pace.missing} of the sample not seen"
    yield f"  {'due to visible':24}{pace.to_visible}"
    yield f"  {'accepted to visible':24}{pace.accepted_to_visible}"
    for hop in msgspec.structs.fields(Hops):
        yield f"    {hop.name.replace('_', ' '):22}{getattr(pace.hops, hop.name)}"
    used = ", ".join(f"{name} {processors:.2f}" for name, processors in pace.processors.items())
    yield f"  processors used: {used}; the lookup was asked {pace.questions_per_second:.0f} times a second"


def _latencies(microseconds: Iterable[int]) -> Latencies:
    return latencies_of(value / _MICROSECONDS for value in microseconds)


def _nobody(_line: str) -> None:
    """Told nothing."""
