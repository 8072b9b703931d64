"""Runs that were never run."""

from bench.job.check import Verdict
from bench.throughput.run import Run

AGREES = Verdict(100, 10, 0, 0, ())


def run(engine: str, events_per_second: float, verdict: Verdict = AGREES) -> Run:
    """A run of that rate, the rest of it made up."""
    return Run(
        engine=engine,
        events_per_second=events_per_second,
        seconds=5.0,
        events=100,
        laid=105,
        event_size_bytes=315.0,
        events_per_processor_second=events_per_second * 1.1,
        engine_processors=1.2,
        broker_processors=0.3,
        engine_resident_mib=300.0,
        bytes_out_per_event={"context": 200.0, "interactions": 100.0},
        stored_bytes_per_event=400.0,
        verdict=verdict,
        exit_codes=(0,),
    )
