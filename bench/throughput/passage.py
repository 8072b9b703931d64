"""An engine's passage through its backlog: started, watched, waited for until all is written, ended in good order."""

import contextlib
import shutil
import time
from collections.abc import Iterable, Sequence
from contextlib import ExitStack
from typing import Final, NamedTuple

from bench.job.outputs import Ends, Outputs, read_interactions
from bench.job.topics import CONTEXT, INTERACTIONS, PARTITIONS, drop_topics
from bench.throughput.engines import Engine, Place
from bench.throughput.process import EngineProcess
from bench.throughput.sampling import Sampler
from bench.throughput.site import Site
from schemas.errors import BrokerUnreachable, RestartNeeded

#: Where a run's topics begin.
FROM_THE_START: Final = (0,) * PARTITIONS
# An engine that takes fewer events a second than this is stuck.
_EVENTS_PER_SECOND_MIN: Final = 500
_START_SECONDS_MAX: Final = 90.0
_POLL_SECONDS: Final = 0.2
# Nothing more is written for so long: then it is time to count.
_QUIET_SECONDS: Final = 1.2


class Passage(NamedTuple):
    """What can be said once the engine has ended."""

    outputs: Outputs
    sampler: Sampler
    exit_codes: tuple[int, ...]


def make_place(engine: Engine, site: Site, number: int) -> Place:
    """Names and a folder for a run."""
    application = f"run{number}-{engine.name.lower().replace(' ', '-').replace(',', '')}"
    folder = site.folder / application
    folder.mkdir(parents=True)
    return Place(site, application, folder)


def forget(place: Place) -> None:
    """Take a run's topics and folder away; where the broker does not answer, no other run has their names."""
    with contextlib.suppress(BrokerUnreachable):
        drop_topics(place.site.bootstrap_servers, place.application)
    shutil.rmtree(place.folder, ignore_errors=True)


def pass_through(
    engine: Engine,
    place: Place,
    events: int,
    *,
    starts: Sequence[int] = FROM_THE_START,
    kept: frozenset[str] | None = None,
) -> Passage:
    """Start the engine, wait until so many events have their interactions, and end it.

    Args:
        engine: What runs.
        place: Where.
        events: Distinct ones that wait to be taken.
        starts: Where in each partition of `interactions` its records will begin.
        kept: The customers whose documents are judged; None: all.

    Raises:
        RestartNeeded: it did not start, ended by itself, or did not write all interactions in time.
    """
    with ExitStack() as stack:
        processes = [stack.enter_context(process) for process in engine.processes(place)]
        sampler = stack.enter_context(Sampler([each.pid for each in processes], place.site.broker_pid))
        for process in processes:
            process.wait_ready()
        engine.settle(place)
        outputs = _await_interactions(processes, place, events, starts, kept)
        exit_codes = tuple(process.stop() for process in processes)
    return Passage(outputs, sampler, exit_codes)


def _await_interactions(
    processes: Iterable[EngineProcess],
    place: Place,
    events: int,
    starts: Sequence[int],
    kept: frozenset[str] | None,
) -> Outputs:
    """Wait until every event has its interaction and nothing is written any more; nothing is read before that."""
    deadline = time.monotonic() + _START_SECONDS_MAX + events / _EVENTS_PER_SECOND_MIN
    ends = Ends(place.site.bootstrap_servers, place.prefix)
    counted, since = sum(starts), time.monotonic()
    seen: tuple[tuple[int, ...], ...] = ()
    try:
        while True:
            for process in processes:
                process.verify_running()
            # Who is who may still be on its way when all events are taken: it shows in documents.
            looked = (committed := ends.committed(INTERACTIONS), ends.committed(CONTEXT))
            if looked != seen:
                seen, since = looked, time.monotonic()
            is_quiet = time.monotonic() - since > _QUIET_SECONDS
            if is_quiet and sum(committed) >= sum(starts) + events and sum(committed) > counted:
                outputs, counted = Outputs(kept), sum(committed)
                read_interactions(place.site.bootstrap_servers, place.prefix, starts, outputs)
                if len(outputs.interactions) >= events:
                    return outputs
            if time.monotonic() > deadline:
                words = "\n".join(process.log() for process in processes)
                raise RestartNeeded(
                    f"{place.application}: {sum(committed) - sum(starts)} of {events} interactions in time\n{words}"
                )
            time.sleep(_POLL_SECONDS)
    finally:
        ends.close()
