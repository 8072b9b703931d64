"""`python -m bench`: generate events, play them, say what must come out, and compare it with the lookup."""

import asyncio
import json
import sys
import tempfile
import time
from collections.abc import Callable, Iterable
from importlib import metadata
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Annotated, Any

import msgspec
import typer

from bench.avro import measure_avro
from bench.compare import DEADLINE_SECONDS, compare
from bench.enrichment import measure
from bench.generator import SOURCES_FILE, START_US, Plan, encode, generate, load_sources
from bench.known_evidence import measure_known_evidence, remembered_share
from bench.oracle import Expectation, expect
from bench.oracle.reading import read_time
from bench.overload import Plan as OverloadPlan
from bench.overload import overload
from bench.play import play, play_to_kafka
from bench.soak import RATIO_MAX, WARM_EVENTS, soak
from schemas.errors import EXIT_PROBLEMS_FOUND, GoldenthreadError, UsageError

program = typer.Typer(add_completion=False, no_args_is_help=True, help=__doc__, rich_markup_mode=None)

_DEFAULTS = Plan()
Customers = Annotated[int, typer.Option(min=1, help="How many people.")]
Events = Annotated[int, typer.Option(min=0, help="How many distinct events; copies come on top.")]
Seed = Annotated[int, typer.Option(help="The same seed gives the same events.")]
Start = Annotated[str, typer.Option(help="Time of the first event: RFC 3339, or `now` to end at this moment.")]
Span = Annotated[float, typer.Option(min=0.001, help="Days that the events are spread over.")]
Duplicates = Annotated[float, typer.Option(min=0, max=1, help="Share of events that arrive twice.")]
Late = Annotated[float, typer.Option(min=0, max=1, help="Share of events that arrive hours to days late.")]
Disorder = Annotated[int, typer.Option(min=0, help="Events arrive up to so many places from where they belong.")]
Collect = Annotated[str, typer.Option(help="Base URL of collect.")]
Kafka = Annotated[str, typer.Option(help="Brokers: produce to gt.raw.<channel> instead of posting to collect.")]
Prefix = Annotated[str, typer.Option(help="Prefix of topics, with --kafka.")]
Rate = Annotated[float, typer.Option(min=0, help="Events a second; 0 is as fast as possible.")]
Sources = Annotated[Path, typer.Option(help="The registrations that the system runs with.")]
LookupUrl = Annotated[str, typer.Option(help="Base URL of the lookup.")]
Deadline = Annotated[float, typer.Option(min=0, help="Seconds that the lookup may take to catch up.")]

_COLLECT_URL = "http://127.0.0.1:8090"
_LOOKUP_URL = "http://127.0.0.1:8080"


def _plan(
    *, customers: int, events: int, seed: int, start: str, span_days: float, shares: tuple[float, float], disorder: int
) -> Plan:
    span_seconds = span_days * 86_400
    if start == "now":
        start_us = time.time_ns() // 1000 - int(span_seconds * 1_000_000)
    elif start:
        try:
            start_us = read_time(start)
        except (ValueError, TypeError) as error:
            raise UsageError(f"--start {start!r}: {error}; give a time such as 2025-01-06T00:00:00Z") from error
    else:
        start_us = START_US
    return Plan(
        customers=customers,
        events=events,
        seed=seed,
        start_us=start_us,
        events_per_second=max(events, 1) / span_seconds,
        duplicate_share=shares[0],
        late_share=shares[1],
        disorder_events=disorder,
    )


def _read_events(path: Path) -> list[dict[str, Any]]:
    try:
        with path.open("rb") as file:
            return [json.loads(line) for line in file]
    except OSError as error:
        raise UsageError(f"{path}: {error.strerror}") from error
    except ValueError as error:
        raise UsageError(f"{path}: not one JSON object a line: {error}") from error


def _play(events: Iterable[dict[str, Any]], collect: str, kafka: str, prefix: str, rate: float) -> int:
    if kafka:
        return play_to_kafka(events, kafka, rate or None, prefix=prefix)
    return asyncio.run(play(events, collect, rate or None))


def _compare(expectation: Expectation, lookup: str, deadline: float) -> None:
    report = asyncio.run(compare(expectation, lookup, deadline))
    for line in report.lines():
        print(line)
    if not report.agrees:
        raise typer.Exit(EXIT_PROBLEMS_FOUND)


@program.command("generate")
def generate_command(
    *,
    out: Annotated[Path, typer.Option(help="File for the events, one JSON object a line.")],
    customers: Customers = _DEFAULTS.customers,
    events: Events = _DEFAULTS.events,
    seed: Seed = _DEFAULTS.seed,
    start: Start = "",
    span_days: Span = 40,
    duplicates: Duplicates = _DEFAULTS.duplicate_share,
    late: Late = _DEFAULTS.late_share,
    disorder: Disorder = _DEFAULTS.disorder_events,
) -> None:
    """Write events to a file, in the order of their arrival."""
    plan = _plan(
        customers=customers,
        events=events,
        seed=seed,
        start=start,
        span_days=span_days,
        shares=(duplicates, late),
        disorder=disorder,
    )
    count = 0
    with out.open("wb") as file:
        for event in generate(plan):
            file.write(encode(event) + b"\n")
            count += 1
    print(f"{count} events, {plan.events} of them distinct, in {out}")


@program.command("play")
def play_command(
    file: Annotated[Path, typer.Argument(help="Events, one JSON object a line.")],
    collect: Collect = _COLLECT_URL,
    kafka: Kafka = "",
    prefix: Prefix = "gt.",
    rate: Rate = 0,
) -> None:
    """Send the events of a file to collect or to Kafka."""
    started = time.monotonic()
    count = _play(_read_events(file), collect, kafka, prefix, rate)
    seconds = time.monotonic() - started
    print(f"{count} events accepted in {seconds:.1f} s, {count / max(seconds, 1e-9):,.0f} a second")


@program.command("expect")
def expect_command(
    file: Annotated[Path, typer.Argument(help="Events, one JSON object a line.")],
    out: Annotated[Path, typer.Option(help="File for the expectation, as JSON.")],
    sources: Sources = SOURCES_FILE,
) -> None:
    """Write what every lookup must answer after these events."""
    expectation = expect(_read_events(file), load_sources(sources))
    out.write_text(json.dumps(expectation.to_json(), indent=1, ensure_ascii=False))
    print(f"{len(expectation.customers)} customers, {len(expectation.shared)} shared identifiers, in {out}")


@program.command("compare")
def compare_command(
    file: Annotated[Path, typer.Argument(help="An expectation, as `expect` writes it.")],
    lookup: LookupUrl = _LOOKUP_URL,
    deadline: Deadline = DEADLINE_SECONDS,
) -> None:
    """Compare the lookup with an expectation; exit 1 where they differ."""
    try:
        expectation = Expectation.from_json(json.loads(file.read_text()))
    except OSError as error:
        raise UsageError(f"{file}: {error.strerror}") from error
    except (ValueError, KeyError, TypeError) as error:
        raise UsageError(f"{file}: no expectation: {error!r}") from error
    _compare(expectation, lookup, deadline)


@program.command("run")
def run_command(
    *,
    customers: Customers = _DEFAULTS.customers,
    events: Events = _DEFAULTS.events,
    seed: Seed = _DEFAULTS.seed,
    start: Start = "",
    span_days: Span = 40,
    duplicates: Duplicates = _DEFAULTS.duplicate_share,
    late: Late = _DEFAULTS.late_share,
    disorder: Disorder = _DEFAULTS.disorder_events,
    collect: Collect = _COLLECT_URL,
    kafka: Kafka = "",
    prefix: Prefix = "gt.",
    rate: Rate = 0,
    lookup: LookupUrl = _LOOKUP_URL,
    deadline: Deadline = DEADLINE_SECONDS,
) -> None:
    """Generate, play and compare, against a fresh system that runs with bench/sources.yaml."""
    plan = _plan(
        customers=customers,
        events=events,
        seed=seed,
        start=start,
        span_days=span_days,
        shares=(duplicates, late),
        disorder=disorder,
    )
    stream = list(generate(plan))
    started = time.monotonic()
    count = _play(stream, collect, kafka, prefix, rate)
    print(f"{count} events accepted in {time.monotonic() - started:.1f} s")
    _compare(expect(stream, load_sources()), lookup, deadline)


@program.command("avro")
def avro_command(customers: Customers = 2_000, events: Events = 20_000, seed: Seed = _DEFAULTS.seed) -> None:
    """Say what Avro costs, in microseconds and bytes a record."""
    print(f"{'topic':16}{'records':>10}{'JSON bytes':>12}{'Avro bytes':>12}{'write us':>10}{'read us':>10}")
    for cost in measure_avro(Plan(customers=customers, events=events, seed=seed)):
        print(
            f"{cost.topic:16}{cost.records:10}{cost.json_bytes:12.0f}{cost.avro_bytes:12.0f}"
            f"{cost.write_microseconds:10.1f}{cost.read_microseconds:10.1f}"
        )


@program.command("enrichment")
def enrichment_command(customers: Customers = 2_000, events: Events = 20_000, seed: Seed = _DEFAULTS.seed) -> None:
    """Say what enrichment costs, in microseconds an event."""
    for cost in measure(Plan(customers=customers, events=events, seed=seed)):
        print(f"{cost.step:40} {cost.microseconds:8.2f} us")


@program.command("known-evidence")
def known_evidence_command(
    *,
    pairs: Annotated[int, typer.Option(min=6_000, help="How many pairs the store holds.")] = 1_000_000,
    asked: Annotated[int, typer.Option(min=100, help="How many events ask, for each figure.")] = 20_000,
    customers: Customers = 2_000,
    events: Events = 100_000,
    span_days: Span = 7,
    seed: Seed = _DEFAULTS.seed,
) -> None:
    """Say what intake asks of its follower, in microseconds an event, and how many events it remembers."""
    print(f"{'identifiers':>11}{'remembered':>12}{'us':>8}")
    with TemporaryDirectory() as folder:
        for cost in measure_known_evidence(Path(folder), pairs=pairs, events=asked):
            print(f"{cost.identifiers:11}{cost.remembered_share:12.0%}{cost.microseconds:8.2f}")
    per_second = events / (span_days * 86_400)
    shares = remembered_share(Plan(customers=customers, events=events, seed=seed, events_per_second=per_second))
    told = f"{shares.remembered:.1%} are remembered, {shares.news:.1%} tell something new"
    print(f"of {shares.events} events of the generator with two identifiers or more {told}")


@program.command("soak")
def soak_command(
    *,
    events: Annotated[int, typer.Option(min=1, help="How many events, copies among them.")] = 5_000_000,
    warm: Annotated[
        int, typer.Option(min=1, help="After so many events memory is taken for comparison.")
    ] = WARM_EVENTS,
    seed: Seed = _DEFAULTS.seed,
    out: Annotated[Path | None, typer.Option(help="File for all samples, as JSON.")] = None,
) -> None:
    """Send millions of events through a worker of its own; exit 1 where its memory grew by more than 10 %."""
    report = soak(events, warm_events=warm, seed=seed, tell=_tell)
    for line in report.lines():
        print(line)
    if out is not None:
        out.write_text(json.dumps(report.to_json(), indent=1))
    if report.ratio > RATIO_MAX:
        raise typer.Exit(EXIT_PROBLEMS_FOUND)


@program.command("overload")
def overload_command(
    *,
    warm: Annotated[int, typer.Option(min=0, help="Events before the flood, which fill the caches.")] = 100_000,
    rate: Annotated[int, typer.Option(min=1, help="Events a second that arrive.")] = 20_000,
    seconds: Annotated[float, typer.Option(min=1, help="How long they do.")] = 60,
    throttle: Annotated[int, typer.Option(min=1, help="Events a second that the worker takes.")] = 2_000,
    padding: Annotated[int, typer.Option(min=0, max=250_000, help="Bytes that each event carries on top.")] = 0,
    seed: Seed = _DEFAULTS.seed,
    out: Annotated[Path | None, typer.Option(help="File for all samples, as JSON.")] = None,
) -> None:
    """Flood a throttled worker of its own, lift the throttle, and see that nothing was lost; exit 1 where it was."""
    plan = OverloadPlan(warm, rate, seconds, throttle, padding, seed=seed)
    report = overload(plan, _tell)
    for line in report.lines():
        print(line)
    if out is not None:
        out.write_text(json.dumps(report.to_json(), indent=1))
    if not report.is_exact:
        raise typer.Exit(EXIT_PROBLEMS_FOUND)


@program.command("identity")
def identity_command(
    *,
    persons: Annotated[int, typer.Option(min=10, help="How many people.")] = 2_000,
    events: Annotated[int, typer.Option(min=0, help="How many distinct events; 0 is 20 for each person.")] = 0,
    seed: Annotated[list[int] | None, typer.Option(help="A seed; several are measured one after the other.")] = None,
    splink: Annotated[bool, typer.Option(help="Measure splink too; installs it into the cache folder.")] = False,
    into: Annotated[Path | None, typer.Option(help="Put the tables between the marks of this Markdown file.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print everything as JSON instead of tables.")] = False,
) -> None:
    """Measure how well a system of its own tells people apart, against labelled events and other ways."""
    from bench.identity.measure import measure as measure_identity
    from bench.identity.stream import Plan as IdentityPlan
    from bench.identity.table import markdown, write_into

    runs = []
    for one in seed or [_DEFAULTS.seed]:
        _tell(f"seed {one}")
        runs.append(measure_identity(IdentityPlan(persons, one, events), with_splink=splink, tell=_tell))
    tables = markdown(runs, metadata.version("goldenthread"))
    print(json.dumps([run.to_json() for run in runs], indent=1) if as_json else tables)
    if into is not None:
        write_into(into, tables)


@program.command("identity-speed")
def identity_speed_command(
    *,
    fragments: Annotated[int, typer.Option(min=2, help="Fragments of each of the two customers that merge.")] = 1_000,
    links: Annotated[int, typer.Option(min=1, help="Records of evidence through a running system.")] = 20_000,
    identifiers: Annotated[int, typer.Option(min=1_000, help="How many the stage by itself comes to know.")] = 100_000,
    only: Annotated[str, typer.Option(help="One of merge, links, alone; all where none is given.")] = "",
    seed: Seed = _DEFAULTS.seed,
) -> None:
    """Say how soon large merges and splits show, how many new links a second go through, and what a million take."""
    from bench.identity_speed import alone, running

    parts = {
        "merge": lambda folder: running.measure_merge(folder, fragments),
        "links": lambda folder: running.measure_links(folder, links, seed),
        "alone": lambda folder: alone.lines(alone.measure(folder / "store", identifiers, seed)),
    }
    if only not in ("", *parts):
        raise UsageError(f"--only {only}: choose one of {', '.join(parts)}")
    for name in [only] if only else parts:
        with tempfile.TemporaryDirectory(prefix="goldenthread-identity-speed-") as folder:
            for line in parts[name](Path(folder)):
                print(line, flush=True)


@program.command("report")
def report_command(
    *,
    quick: Annotated[bool, typer.Option(help="The figures that matter most, in under four minutes.")] = False,
    only: Annotated[
        list[str] | None,
        typer.Option(help="throughput, one of its parts a to f, freshness, lookup or restore; may be given again."),
    ] = None,
    rounds: Annotated[int | None, typer.Option(min=1, help="Rounds of throughput.")] = None,
    out: Annotated[Path | None, typer.Option(help="Folder of the report; .bench/<time> where none is given.")] = None,
) -> None:
    """Measure all against peers and targets; the last line is one JSON object. Exit 1 where an output is wrong."""
    from bench.report import making

    results = making.measure(making.Wish(quick, tuple(only or ()), rounds), _tell)
    folder = out or Path(".bench") / results.machine.at.replace(":", "")
    print(making.write(results, folder, _tell))
    print(f"The report is in {folder.resolve()}")
    wrong = list(making.wrong(results))
    for line in wrong:
        print(line, file=sys.stderr)
    print(making.last_line(results), flush=True)
    if wrong:
        raise typer.Exit(EXIT_PROBLEMS_FOUND)


@program.command("freshness")
def freshness_command(
    *,
    quick: Annotated[bool, typer.Option(help="Some 25 seconds instead of minutes.")] = False,
    capacity: Annotated[float, typer.Option(min=0, help="Events a second; 70 % of it is measured too.")] = 0,
) -> None:
    """Say how long an event takes from its sender to the lookup's answers."""
    from bench import freshness

    plan = freshness.FreshnessPlan.quick() if quick else freshness.FreshnessPlan()
    plan = msgspec.structs.replace(plan, capacity_per_second=capacity)
    _print_of(lambda folder: freshness.lines(freshness.measure(plan, folder, _tell)))


@program.command("lookup-load")
def lookup_load_command(
    *,
    quick: Annotated[bool, typer.Option(help="Some 20 seconds instead of minutes.")] = False,
    customers: Annotated[int, typer.Option(min=0, help="So many published at once, instead of those of events.")] = 0,
) -> None:
    """Say how long the lookup takes to answer while events come in."""
    from bench import lookup_load

    plan = lookup_load.LookupPlan.quick() if quick else lookup_load.LookupPlan()
    plan = msgspec.structs.replace(plan, customers=customers)
    _print_of(lambda folder: lookup_load.lines(lookup_load.measure(plan, folder, _tell)))


@program.command("restore")
def restore_command(*, quick: Annotated[bool, typer.Option(help="Half a minute instead of minutes.")] = False) -> None:
    """Say how fast stores are restored and followed, against a loop that reads and discards."""
    from bench import restore

    plan = restore.RestorePlan.quick() if quick else restore.RestorePlan()
    _print_of(lambda folder: restore.lines(restore.measure(plan, folder, _tell)))


def _print_of(lines: Callable[[Path], Iterable[str]]) -> None:
    with TemporaryDirectory(prefix="goldenthread-bench-") as folder:
        for line in lines(Path(folder)):
            print(line, flush=True)


def _tell(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


def main() -> None:
    """Run the command line; what went wrong on purpose is one line and its exit code."""
    try:
        program()
    except GoldenthreadError as error:
        print(error, file=sys.stderr)
        raise SystemExit(error.exit_code) from error


if __name__ == "__main__":
    main()
