"""One measured run of one engine, and what it came to.

1. Make topics and lay the backlog. 2. Run the engine through it. 3. Read what it wrote, and judge it. 4. Measure the
span after the warm-up. 5. Take everything of the run away.
"""

from collections.abc import Callable
from typing import Final, NamedTuple

import msgspec

from bench.job.check import Verdict, judge
from bench.job.feed import lay
from bench.job.outputs import read_documents
from bench.job.rate import measured_span
from bench.job.topics import EVENTS, PARTITIONS
from bench.memory import MIB
from bench.throughput.engines import Engine, Place
from bench.throughput.loads import Load
from bench.throughput.passage import Passage, forget, make_place, pass_through
from bench.throughput.sampling import folder_size_bytes, log_sizes_bytes
from bench.throughput.site import Site
from schemas.topics import RAW, Topic

#: Of all interactions so many are not measured: caches fill, Java compiles, identity learns.
WARM_UP_SHARE: Final = 1 / 3


class Run(msgspec.Struct, frozen=True):
    """What one run of one engine came to."""

    engine: str
    #: Distinct events, after the warm-up, over time (`bench.job.rate`).
    events_per_second: float
    #: How long the measured span was.
    seconds: float
    #: Distinct events of the whole run, and all that were laid, copies among them.
    events: int
    laid: int
    event_size_bytes: float
    #: Distinct events for each second that the engine used of a processor; the broker's is apart.
    events_per_processor_second: float
    #: How many processors engine and broker kept busy on average.
    engine_processors: float
    broker_processors: float
    engine_resident_mib: float
    #: What outputs and changelogs have on the broker's disk, for each event that was laid, by topic.
    bytes_out_per_event: dict[str, float]
    #: What the engine's own folder grew by, for each event that was laid.
    stored_bytes_per_event: float
    verdict: Verdict
    #: How its processes ended; anything but 0 is told.
    exit_codes: tuple[int, ...]

    @property
    def bytes_out_per_event_in(self) -> float:
        """Of all topics together."""
        return sum(self.bytes_out_per_event.values())


class Stored(NamedTuple):
    """What a run left on disks, in bytes."""

    #: On the broker's, by topic.
    topics: dict[str, int]
    #: In the engine's own folder.
    state: int


def measure_run(
    engine: Engine,
    load: Load,
    site: Site,
    number: int,
    *,
    tell: Callable[[str], None],
    warm_up_share: float = WARM_UP_SHARE,
) -> Run:
    """Run an engine over a load, and judge and measure it.

    Raises:
        RestartNeeded: it did not start, ended by itself, or did not write all interactions in time.
    """
    place = make_place(engine, site, number)
    try:
        # Step 1.
        engine.prepare(place)
        laid = lay(site.bootstrap_servers, engine.backlog(load, place), PARTITIONS)
        # Step 2.
        passage = pass_through(engine, place, load.plan.events)
        # Step 3.
        read_documents(site.bootstrap_servers, place.prefix, passage.outputs)
        expectation = engine.expectation(load)
        verdict = judge(
            expectation, passage.outputs, exactly_once=engine.is_exactly_once, is_pipeline=engine.is_pipeline
        )
        # Step 4.
        sizes = written(engine, place)
        stored = Stored(sizes, folder_size_bytes(place.state))
        run = figures(engine, load, passage, verdict, stored=stored, laid=laid, warm_up_share=warm_up_share)
    finally:
        # Step 5.
        forget(place)
    tell(shown(run))
    return run


def written(engine: Engine, place: Place) -> dict[str, int]:
    """Bytes on the broker's disk of everything that the engine wrote, by topic: what was laid is left out."""
    inputs = [place.prefix + EVENTS, place.prefix + RAW]
    if not engine.is_pipeline:
        # The context stage alone reads `routed`; the whole pipeline writes it.
        inputs.append(place.prefix + Topic.ROUTED)
    sizes = log_sizes_bytes(place.site.topics_dir, place.application)
    return {
        name.removeprefix(place.prefix): size
        for name, size in sorted(sizes.items())
        if size and not name.startswith(tuple(inputs))
    }


def figures(
    engine: Engine,
    load: Load,
    passage: Passage,
    verdict: Verdict,
    *,
    stored: Stored,
    laid: int,
    warm_up_share: float,
) -> Run:
    """All figures of a run that has ended."""
    span = measured_span(passage.outputs.append_times_ms.values(), warm_up_share)
    seconds = span.ended_s - span.began_s
    engine_used = passage.sampler.engine(span.began_s, span.ended_s)
    broker_used = passage.sampler.broker(span.began_s, span.ended_s)
    return Run(
        engine=engine.name,
        events_per_second=span.records_per_second,
        seconds=seconds,
        events=load.plan.events,
        laid=laid,
        event_size_bytes=engine.event_size_bytes(load),
        events_per_processor_second=span.records / max(engine_used.processor_seconds, 1e-9),
        engine_processors=engine_used.processor_seconds / seconds,
        broker_processors=broker_used.processor_seconds / seconds,
        engine_resident_mib=engine_used.resident_bytes / MIB,
        bytes_out_per_event={name: size / laid for name, size in stored.topics.items()},
        stored_bytes_per_event=stored.state / laid,
        verdict=verdict,
        exit_codes=passage.exit_codes,
    )


def shown(run: Run) -> str:
    """One run in a line."""
    judged = "agrees" if run.verdict.agrees else f"{run.verdict.differences} DIFFERENCES: {run.verdict.shown[0]}"
    ended = "" if not any(run.exit_codes) else f"  ended with {run.exit_codes}"
    return (
        f"{run.engine:28} {run.events_per_second:9,.0f}/s {run.events_per_processor_second:9,.0f}/processor s  "
        f"broker {run.broker_processors:.2f} processors {run.engine_resident_mib:6,.0f} MiB "
        f"{run.bytes_out_per_event_in:6,.0f} B out an event  {judged}{ended}"
    )
