"""Makes a report: measures the parts that are asked for, one after the other, and writes the files."""

import tempfile
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, Final

import msgspec

from bench import freshness, lookup_load, restore
from bench.report.document import markdown
from bench.report.machine import this_machine
from bench.report.pictures import draw
from bench.report.results import Results
from bench.report.targets import headline, outcomes
from bench.throughput import parts
from schemas.errors import UsageError

#: All that can be asked for by name; letters are parts of throughput.
NAMES: Final = ("throughput", *parts.PARTS, "freshness", "lookup", "restore")
#: What a quick report has.
QUICK_NAMES: Final = ("throughput", "freshness", "lookup")
MARKDOWN_FILE: Final = "report.md"
JSON_FILE: Final = "report.json"
_LARGE_CUSTOMERS: Final = 1_000_000
# Of what a worker takes from a backlog a system on the same cores carries this: sender, collect and lookup need theirs.
_SYSTEM_SHARE: Final = 0.5

Tell = Callable[[str], None]


class Wish(msgspec.Struct, frozen=True):
    """Which report is wanted."""

    is_quick: bool = False
    #: Names of parts; none is all.
    only: tuple[str, ...] = ()
    #: Rounds of throughput; None as many as the plan has.
    rounds: int | None = None

    def names(self) -> tuple[str, ...]:
        """The parts, by name.

        Raises:
            UsageError: there is no such part.
        """
        unknown = [name for name in self.only if name not in NAMES]
        if unknown:
            raise UsageError(f"--only {unknown[0]}: choose of {', '.join(NAMES)}")
        return self.only or (QUICK_NAMES if self.is_quick else ("throughput", "freshness", "lookup", "restore"))

    def throughput(self) -> parts.ThroughputPlan | None:
        """What is measured of throughput, if anything is."""
        names = self.names()
        letters = tuple(name for name in names if name in parts.PARTS)
        if "throughput" not in names and not letters:
            return None
        plan = parts.ThroughputPlan.quick() if self.is_quick else parts.ThroughputPlan()
        if letters and "throughput" not in names:
            plan = plan.only(letters)
        return plan if self.rounds is None else msgspec.structs.replace(plan, rounds=self.rounds)


def measure(wish: Wish, tell: Tell) -> Results:
    """Measure what is wanted; each part has a broker and a folder of its own.

    Raises:
        UsageError: there is no such part.
        GoldenthreadError: a part could not be measured.
    """
    names, plan = wish.names(), wish.throughput()
    results = Results(this_machine())

    def part(name: str, run: Callable[[Path], Any]) -> None:
        nonlocal results
        tell(f"-- {name.replace('_', ' ')}")
        with tempfile.TemporaryDirectory(prefix=f"goldenthread-{name}-") as folder:
            results = msgspec.structs.replace(results, **{name: run(Path(folder))})

    if plan is not None:
        part("throughput", lambda folder: parts.measure(plan, folder, tell))
    if "freshness" in names:
        wanted = freshness.FreshnessPlan.quick() if wish.is_quick else _loaded(results)
        part("freshness", lambda folder: freshness.measure(wanted, folder, tell))
    if "lookup" in names:
        asked = lookup_load.LookupPlan.quick() if wish.is_quick else lookup_load.LookupPlan()
        part("lookup", lambda folder: lookup_load.measure(asked, folder, tell))
        if not wish.is_quick:
            large = msgspec.structs.replace(asked, customers=_LARGE_CUSTOMERS)
            part("lookup_large", lambda folder: lookup_load.measure(large, folder, tell))
    if "restore" in names:
        read = restore.RestorePlan.quick() if wish.is_quick else restore.RestorePlan()
        part("restore", lambda folder: restore.measure(read, folder, tell))
    return results


def _loaded(results: Results) -> freshness.FreshnessPlan:
    """The whole plan; 70 % of the capacity is measured where this very run has said what a worker can take."""
    pipeline = None if results.throughput is None else results.throughput.summary(parts.PIPELINE)
    capacity = 0.0 if pipeline is None else _SYSTEM_SHARE * pipeline.events_per_second
    return freshness.FreshnessPlan(capacity_per_second=capacity)


def write(results: Results, folder: Path, tell: Tell) -> str:
    """Write Markdown, JSON and pictures into a folder; returns the Markdown.

    Raises:
        RestartNeeded: the pictures can't be drawn.
    """
    folder.mkdir(parents=True, exist_ok=True)
    (folder / JSON_FILE).write_bytes(msgspec.json.format(msgspec.json.encode(_whole(results)), indent=1))
    text = markdown(results, draw(results, folder, tell))
    (folder / MARKDOWN_FILE).write_text(text)
    return text


def last_line(results: Results) -> str:
    """The headline as one JSON object."""
    return msgspec.json.encode(headline(results)).decode()


def wrong(results: Results) -> Iterable[str]:
    """Engines that failed, and runs whose outputs were not what they had to be, in words."""
    if results.throughput is None:
        return
    for name, failure in results.throughput.failures.items():
        yield f"{name} could not be measured: {failure}"
    for run in (each for of_engine in results.throughput.runs.values() for each in of_engine):
        if not run.verdict.agrees:
            yield f"{run.engine}: {run.verdict.differences} differences, the first: {run.verdict.shown[0]}"
        if any(run.exit_codes):
            yield f"{run.engine} ended with {run.exit_codes}"


def _whole(results: Results) -> dict[str, Any]:
    found = [{**msgspec.structs.asdict(each), "met": each.is_met} for each in outcomes(results)]
    return {"headline": headline(results), "targets": found, **msgspec.structs.asdict(results)}
