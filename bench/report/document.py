"""The report as Markdown."""

from collections.abc import Iterable, Iterator, Sequence
from typing import Any, Final

import msgspec

from bench.freshness import lines as freshness_lines
from bench.load.latencies import Latencies
from bench.lookup_load import lines as lookup_lines
from bench.report.costs import cost_rows, costs, edge, installation_rows
from bench.report.machine import Machine
from bench.report.results import Results
from bench.report.targets import Figure, Outcome, outcomes
from bench.restore import lines as restore_lines
from bench.throughput.parts import Throughput
from bench.throughput.rounds import Summary

_HOW: Final = (
    "How it is measured, and how to read it: docs/benchmark-job.md. Ratios are of rounds in turns on one broker:\n"
    "the median, and the least and most of all rounds."
)

#: Packages of peers that are shown; the JSON has all of them.
_NOTABLE: Final = (
    *("java", "kafka-streams", "rocksdbjni", "jackson-core"),
    *("quixstreams", "faust-streaming", "aiokafka", "confluent-kafka", "rocksdict", "msgspec"),
)


def markdown(results: Results, pictures: Sequence[str]) -> str:
    """The whole report; `pictures` are files beside it."""
    blocks = [
        "# Benchmark",
        _HOW,
        "## Targets",
        table(("figure", "measured", "target", "aim", "met"), map(_outcome, outcomes(results))),
    ]
    if results.throughput is not None:
        blocks += ["## Throughput", *_throughput(results.throughput)]
    if costs(results):
        blocks += ["## Costs", *_costs(results)]
    told = {
        "Freshness": None if results.freshness is None else freshness_lines(results.freshness),
        "Lookup": None if results.lookup is None else lookup_lines(results.lookup),
        "Lookup, 1,000,000 customers on disk": None
        if results.lookup_large is None
        else lookup_lines(results.lookup_large),
        "Restore": None if results.restore is None else restore_lines(results.restore),
    }
    for name, lines in told.items():
        if lines is not None:
            blocks += [f"## {name}", "```\n" + "\n".join(lines) + "\n```"]
    if pictures:
        blocks += ["## Pictures", "\n".join(f"![{name}]({name})" for name in pictures)]
    blocks += ["## Machine", *_machine(results.machine, results.throughput)]
    return "\n\n".join(blocks) + "\n"


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A Markdown table; all columns but the first are to the right."""
    lines = [head, ("---", *("--:" for _ in head[1:])), *rows]
    return "\n".join("| " + " | ".join(cells) + " |" for cells in lines)


def _outcome(outcome: Outcome) -> tuple[str, ...]:
    met = {True: "met", False: "**not met**", None: "-"}[outcome.is_met]
    wanted = "reported" if outcome.wanted is None else f"{outcome.bound} {_number(outcome.wanted)} {outcome.unit}"
    aim = "-" if outcome.aim is None else _number(outcome.aim)
    return outcome.name, _measured(outcome.figure, outcome.unit), wanted, aim, met


def _measured(figure: Figure | None, unit: str) -> str:
    if figure is None:
        return "not measured"
    spread = (
        "" if figure.least is None or figure.most is None else f" ({_number(figure.least)} to {_number(figure.most)})"
    )
    return f"{_number(figure.value)} {unit}{spread}"


def _number(value: float) -> str:
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.2f}"


def _throughput(throughput: Throughput) -> Iterator[str]:
    plan = throughput.plan
    yield (
        f"{plan.rounds} rounds; {plan.events:,} distinct events of {plan.customers:,} customers, 5 % copies on top.\n"
        "The first third of each run is warm-up. Events per processor second count the engine's processors alone; the\n"
        "broker's are apart. Bytes out are those of outputs and changelogs on the broker's disk, for each event in.\n"
        "Right: the rounds whose final state and interactions were those of the reference."
    )
    head = (
        "engine",
        "events/s",
        "least to most",
        "events per processor second",
        "processors",
        "broker's",
        "RSS, MiB",
        "bytes out per event",
        "event, bytes",
        "right",
    )
    yield table(head, map(_summary, throughput.summaries))
    for name, failure in throughput.failures.items():
        yield f"**{name}** could not be measured: {failure.splitlines()[0]}"
    ratios = (
        (each.of, each.against, _measured(Figure(each.median, each.least, each.most), "times"))
        for each in throughput.ratios
    )
    yield table(("engine", "against", "ratio"), ratios)


def _costs(results: Results) -> Iterator[str]:
    yield (
        "A million distinct events, taken from a backlog: seconds of processors, MiB on disks. Written is what comes\n"
        "on one broker's disk, compressed, besides raw events: outputs, changelogs and what stages tell each other."
    )
    head = ("load", "worker, s", "broker, s", "written, MiB", "worker's stores, MiB", "worker's RSS, MiB")
    yield table(head, cost_rows(results))
    sides = edge(results)
    if sides is not None:
        yield (
            f"At a steady pace collect takes {sides.collect_seconds:,.0f} s for a million events, one in a request,\n"
            f"and a lookup that follows {sides.lookup_seconds:,.0f} s."
        )
        yield (
            "What a pace needs by these figures, every process half used (rules, estimates: bench/report/costs.py).\n"
            "A lookup follows all of it, however many there are:"
        )
        yield table(
            (
                "events/s",
                "partitions",
                "workers",
                "collects",
                "brokers",
                "processors in all",
                "of a lookup",
                "written a day besides raw events, GiB",
            ),
            installation_rows(results),
        )


def _summary(each: Summary) -> tuple[str, ...]:
    return (
        each.engine,
        f"{each.events_per_second:,.0f}",
        f"{each.least_per_second:,.0f} to {each.most_per_second:,.0f}",
        f"{each.events_per_processor_second:,.0f}",
        f"{each.engine_processors:.2f}",
        f"{each.broker_processors:.2f}",
        f"{each.engine_resident_mib:,.0f}",
        f"{each.bytes_out_per_event_in:,.0f}",
        f"{each.event_size_bytes:,.0f}",
        f"{each.right} of {each.rounds}",
    )


def _machine(machine: Machine, throughput: Throughput | None) -> Iterator[str]:
    yield (
        f"{machine.at}: {machine.cores} cores ({machine.processor}), {machine.memory_gb:.0f} GB, {machine.system}.\n"
        f"The load average before was {machine.load_before:.2f}."
    )
    rows = [("ours", name, version) for name, version in machine.versions.items()]
    for peer, versions in ({} if throughput is None else throughput.versions).items():
        rows += [(peer, name, version) for name, version in sorted(versions.items()) if name in _NOTABLE]
    yield table(("environment", "package", "version"), rows)


def all_latencies(value: Any, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Latencies]]:
    """Every set of percentiles within a result, with the names of the fields that lead to it."""
    if isinstance(value, Latencies):
        yield path, value
    elif isinstance(value, msgspec.Struct):
        for name in value.__struct_fields__:
            yield from all_latencies(getattr(value, name), (*path, name))
    elif isinstance(value, dict):
        for name, each in value.items():
            yield from all_latencies(each, (*path, str(name)))
