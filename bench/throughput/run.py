"""One measured run of one engine: a backlog, the engine over it, and what it wrote, judged.

1. Make topics and lay the backlog. 2. Start the engine, and watch it. 3. Wait until every event has its interaction.
4. End the engine in good order. 5. Read what it wrote, and judge it. 6. Measure the span after the warm-up.
7. Take everything of the run away.
"""

import shutil
import time
from collections.abc import Callable, Iterable
from contextlib import ExitStack
from typing import Final

import msgspec

from bench.job.check import Verdict, judge
from bench.job.feed import lay
from bench.job.outputs import Ends, Outputs, read_documents, read_interactions
from bench.job.rate import Span, measured_span
from bench.job.topics import EVENTS, INTERACTIONS, PARTITIONS, drop_topics
from bench.memory import MIB
from bench.throughput.engines import Engine, Place
from bench.throughput.loads import Load
from bench.throughput.process import EngineProcess
from bench.throughput.sampling import Sampler, log_sizes_bytes
from bench.throughput.site import Site
from schemas.errors import RestartNeeded
from schemas.topics import RAW, Topic

#: Of all interactions so many are not measured: caches fill, Java compiles, identity learns.
WARM_UP_SHARE: Final = 1 / 3
# An engine that takes fewer events a second than this is stuck.
_EVENTS_PER_SECOND_MIN: Final = 500
_START_SECONDS_MAX: Final = 60.0
_POLL_SECONDS: Final = 0.2
# Nothing more is written for so long: then it is time to count.
_QUIET_SECONDS: Final = 1.2


class Run(msgspec.Struct, frozen=True):
    """What one run of one engine came to."""

    engine: str
    #: Distinct events, after the warm-up, over time (`bench.job.rate`).
    events_per_second: float
    #: What is measured, in seconds.
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
    verdict: Verdict
    #: An engine that did not end with 0.
    exit_codes: tuple[int, ...] = ()

    @property
    def bytes_out_per_event_in(self) -> float:
        """Of all topics together."""
        return sum(self.bytes_out_per_event.values())


def measure_run(
    engine: Engine,
    load: Load,
    site: Site,
    number: int,
    *,
    warm_up_share: float = WARM_UP_SHARE,
    tell: Callable[[str], None],
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
        # Steps 2 to 4.
        outputs, sampler, exit_codes = run_through(engine, place, load.plan.events)
        # Step 5.
        read_documents(site.bootstrap_servers, place.prefix, outputs)
        verdict = judge(
            engine.expectation(load), outputs, exactly_once=engine.is_exactly_once, is_pipeline=engine.is_pipeline
        )
        # Step 6.
        span = measured_span(outputs.append_times_ms, warm_up_share)
        sizes = log_sizes_bytes(site.topics_dir, place.application)
        bytes_out = _written(sizes, engine, place, laid)
        run = _figures(engine, load, (laid, verdict, exit_codes), span=span, sampler=sampler, bytes_out=bytes_out)
    finally:
        # Step 7.
        forget(place)
    tell(line(run))
    return run


def make_place(engine: Engine, site: Site, number: int) -> Place:
    """Names and a folder for a run."""
    application = f"run{number}-{engine.name.lower().replace(' ', '-').replace(',', '')}"
    folder = site.folder / application
    folder.mkdir(parents=True)
    return Place(site, application, folder)


def forget(place: Place) -> None:
    """Take a run's topics and folder away."""
    drop_topics(place.site.bootstrap_servers, place.application)
    shutil.rmtree(place.folder, ignore_errors=True)


def run_through(engine: Engine, place: Place, events: int) -> tuple[Outputs, Sampler, tuple[int, ...]]:
    """Start the engine, wait until so many events have their interactions, and end it; what it took, and its exits."""
    with ExitStack() as stack:
        processes = [stack.enter_context(process) for process in engine.processes(place)]
        sampler = stack.enter_context(Sampler([each.pid for each in processes], place.site.broker_pid))
        for process in processes:
            process.wait_ready()
        engine.settle(place)
        outputs = await_interactions(processes, place, events)
        exit_codes = tuple(process.stop() for process in processes)
    return outputs, sampler, exit_codes


def await_interactions(processes: Iterable[EngineProcess], place: Place, events: int) -> Outputs:
    """Wait until every event has its interaction; the topic is read only while it stands still.

    Raises:
        RestartNeeded: the engine ended, or time is over.
    """
    deadline = time.monotonic() + _START_SECONDS_MAX + events / _EVENTS_PER_SECOND_MIN
    ends = Ends(place.site.bootstrap_servers, place.prefix)
    outputs, counted, seen, since = Outputs(), -1, -1, time.monotonic()
    try:
        while True:
            for process in processes:
                process.verify_running()
            committed = ends.committed(INTERACTIONS)
            if committed != seen:
                seen, since = committed, time.monotonic()
            is_quiet = time.monotonic() - since > _QUIET_SECONDS
            if committed >= events and is_quiet and committed != counted:
                outputs, counted = read_interactions(place.site.bootstrap_servers, place.prefix), committed
                if len(outputs.interactions) >= events:
                    return outputs
            if time.monotonic() > deadline:
                raise RestartNeeded(
                    f"{place.application}: {committed} of {events} interactions in time\n{last_words(processes)}"
                )
            time.sleep(_POLL_SECONDS)
    finally:
        ends.close()


def last_words(processes: Iterable[EngineProcess]) -> str:
    """The ends of what the processes wrote."""
    return "\n".join(process.log() for process in processes)


def _written(sizes: dict[str, int], engine: Engine, place: Place, laid: int) -> dict[str, float]:
    """Bytes for each event, of everything that the engine wrote: what was laid is left out."""
    # The context stage alone reads `routed`; the whole pipeline writes it.
    inputs = (
        place.prefix + EVENTS,
        place.prefix + RAW,
        *(() if engine.is_pipeline else (place.prefix + Topic.ROUTED,)),
    )
    names = {name: size for name, size in sizes.items() if not name.startswith(inputs)}
    return {name.removeprefix(place.prefix): size / laid for name, size in sorted(names.items()) if size}


def _figures(
    engine: Engine,
    load: Load,
    outcome: tuple[int, Verdict, tuple[int, ...]],
    *,
    span: Span,
    sampler: Sampler,
    bytes_out: dict[str, float],
) -> Run:
    laid, verdict, exit_codes = outcome
    seconds = span.ended_s - span.began_s
    engine_used, broker_used = (of(span.began_s, span.ended_s) for of in (sampler.engine, sampler.broker))
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
        bytes_out_per_event=bytes_out,
        verdict=verdict,
        exit_codes=exit_codes,
    )


def line(run: Run) -> str:
    """One run in a line."""
    judged = "agrees" if run.verdict.agrees else f"{run.verdict.differences} DIFFERENCES"
    return (
        f"{run.engine:28} {run.events_per_second:9,.0f}/s  {run.events_per_processor_second:9,.0f}/cpu s  "
        f"broker {run.broker_processors:.2f} cpu  {run.engine_resident_mib:6,.0f} MiB  "
        f"{run.bytes_out_per_event_in:6,.0f} B out/event  {judged}"
    )
