"""The report's pictures: which bars there are, and how they come to be files."""

import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Final

import msgspec

from bench.peers.environment import bench_cache_dir, hashed_environment
from bench.report.document import all_latencies
from bench.report.results import Results
from bench.throughput.rounds import Summary
from schemas.errors import RestartNeeded

REQUIREMENTS_FILE: Final = Path(__file__).with_name("requirements.txt")
SUFFIXES: Final = ("svg", "png")
_DRAWING_FILE: Final = Path(__file__).with_name("drawing.py")
_CHARTS_FILE: Final = "charts.json"
_DRAW_SECONDS_MAX: Final = 120.0
_OURS: Final = ("context", "pipeline")


class Bar(msgspec.Struct, frozen=True, omit_defaults=True):
    """One bar of a chart."""

    name: str
    value: float
    ours: bool
    least: float | msgspec.UnsetType = msgspec.UNSET
    most: float | msgspec.UnsetType = msgspec.UNSET


class Chart(msgspec.Struct, frozen=True):
    """One picture."""

    name: str
    title: str
    unit: str
    bars: tuple[Bar, ...]


def charts(results: Results) -> Iterator[Chart]:
    """What there is to see."""
    summaries = () if results.throughput is None else results.throughput.summaries
    if summaries:
        yield Chart("throughput", "Events a second", "events/s", tuple(map(_rate, summaries)))
        yield Chart(
            "processor-seconds",
            "Events for each second of the engine's processors",
            "events",
            tuple(Bar(each.engine, each.events_per_processor_second, _is_ours(each)) for each in summaries),
        )
        yield Chart(
            "bytes-out",
            "Bytes of outputs and changelogs on the broker's disk",
            "bytes for each event in",
            tuple(Bar(each.engine, each.bytes_out_per_event_in, _is_ours(each)) for each in summaries),
        )
    for name, result in (
        ("freshness", results.freshness),
        ("lookup", results.lookup),
        ("lookup-large", results.lookup_large),
    ):
        bars = tuple(_percentiles(result)) if result is not None else ()
        if bars:
            yield Chart(name, f"{name.capitalize()}: p99 of each, and the median", "ms", bars)


def draw(results: Results, folder: Path, tell: Callable[[str], None]) -> list[str]:
    """Write the pictures into a folder; returns the names of the SVG files.

    Raises:
        RestartNeeded: the environment can't be made, or drawing failed.
    """
    found = list(charts(results))
    if not found:
        return []
    python = hashed_environment("report", REQUIREMENTS_FILE, bench_cache_dir(), tell)
    charts_file = folder / _CHARTS_FILE
    charts_file.write_bytes(msgspec.json.encode(found))
    command = [str(python), str(_DRAWING_FILE), str(charts_file), str(folder)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=_DRAW_SECONDS_MAX, check=False)  # noqa: S603 - our own command.
    if done.returncode:
        raise RestartNeeded(f"the pictures can't be drawn: {done.stderr[-600:]}")
    return [f"{chart.name}.{SUFFIXES[0]}" for chart in found]


def _rate(each: Summary) -> Bar:
    return Bar(each.engine, each.events_per_second, _is_ours(each), each.least_per_second, each.most_per_second)


def _is_ours(each: Summary) -> bool:
    return each.engine.startswith(_OURS)


def _percentiles(result: Any) -> Iterator[Bar]:
    for path, latencies in all_latencies(result):
        if latencies.count:
            name = ", ".join(path).replace("_", " ")
            yield Bar(name, latencies.p99_ms, ours=True, least=latencies.p50_ms, most=latencies.p99_ms)
