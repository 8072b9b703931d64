"""What enrichment costs: microseconds an event, beside reading and cleaning, over events of the generator.

Measured twice: over events as they come, whose texts are often ones that were read before, and over events of which
every text is new, so that no cache helps. Each figure is the least of a number of rounds, in time of
the processor.
"""

import gc
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any, Final

from bench.generator import SOURCES_FILE, Plan, encode, generate
from bench.population import AGENTS
from schemas.cleaning import Cleaner
from schemas.enrichment.enrichment import Enrichment
from schemas.enrichment.names import ENRICHERS
from schemas.event import CloudEvent, parse_structured
from schemas.identity_policy import DEFAULT_POLICY
from schemas.keys import Keyring
from schemas.messages import RoutedEvent
from schemas.sources import load_sources
from schemas.topics import DEFAULT_CHANNELS

_ROUNDS: Final = 3
# Without caches an event takes a hundred times as long.
_NEW_EVENTS_MAX: Final = 1_000
_FAR_FUTURE_US: Final = 1 << 60
_SECRET: Final = b"a secret for measuring only"


@dataclass(frozen=True, slots=True)
class Cost:
    """What one step takes, in microseconds an event."""

    step: str
    microseconds: float


def measure(plan: Plan) -> Iterator[Cost]:
    """The cost of each step over the plan's events."""
    bodies = [encode(event) for event in generate(plan)]
    cleaner = Cleaner(
        policy=DEFAULT_POLICY,
        registry=load_sources(SOURCES_FILE),
        keyring=Keyring(_SECRET),
        channels=DEFAULT_CHANNELS,
    )
    events = [parse_structured(body) for body in bodies]
    yield Cost("read", _least(lambda: _all(map(parse_structured, bodies)), len(bodies)))
    yield Cost("clean", _least(lambda: _all(_clean(cleaner, event) for event in events), len(events)))
    yield from _enrichers([(_clean(cleaner, event), event.time_text) for event in events], ENRICHERS, _ROUNDS)
    new = [parse_structured(encode(event)) for event in _new(generate(plan))]
    pairs = [(_clean(cleaner, event), event.time_text) for event in new]
    for cost in _enrichers(pairs, ENRICHERS, 1):
        yield Cost(f"{cost.step}, every text new", cost.microseconds)


def _enrichers(pairs: Sequence[tuple[RoutedEvent, str]], names: Iterable[str], rounds: int) -> Iterator[Cost]:
    for chosen in [(name,) for name in names] + [tuple(names)]:
        enrichment = Enrichment(chosen)
        least = _least(lambda: _all(_enriched(enrichment, pairs)), len(pairs), rounds)  # noqa: B023 - called at once.
        yield Cost(f"enrich: {chosen[0] if len(chosen) == 1 else 'all'}", least)


def _enriched(enrichment: Enrichment, pairs: Sequence[tuple[RoutedEvent, str]]) -> Iterator[Any]:
    return (enrichment.enrich(routed, time_text) for routed, time_text in pairs)


def _clean(cleaner: Cleaner, event: CloudEvent) -> RoutedEvent:
    return cleaner.clean(event, topic_channel=None, now_us=_FAR_FUTURE_US).routed


def _new(events: Iterable[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    """Events of which every text that an enricher reads stands in no other."""
    for number, event in enumerate(islice(events, _NEW_EVENTS_MAX)):
        data = event["data"] | {
            "traits": {
                "email": f"Person.{number}@domain-{number}.example",
                "phone": f"+31 6 1{number:07d}",
                "name": f" Person  {number}",
            },
            "user_agent": f"{AGENTS[number % len(AGENTS)][1]} Shop/{number}",
            "text": f"Goedemiddag, waar blijft mijn pakket met nummer {number}?",
        }
        yield event | {"data": data}


def _all(steps: Iterable[Any]) -> None:
    for _ in steps:
        pass


def _least(run: Callable[[], None], events: int, rounds: int = _ROUNDS) -> float:
    least = float("inf")
    gc.disable()
    try:
        for _ in range(rounds):
            started = time.process_time()
            run()
            least = min(least, time.process_time() - started)
    finally:
        gc.enable()
    return least / max(events, 1) * 1e6
