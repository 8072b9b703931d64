"""What is written down: Markdown of one or more runs, as mean and range over their seeds."""

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from statistics import fmean
from typing import Final

from bench.identity.clusters import Scores
from bench.identity.exposure import Exposure, Exposures
from bench.identity.measure import (
    CAREFUL,
    CEILING,
    GOLDENTHREAD,
    GRADES,
    SPLINK,
    UNION_FIND,
    UNIQUE_IDS,
    Run,
)
from bench.identity.shares import OF_EVENTS, OF_PERSONS, Shares
from schemas.errors import UsageError

_ORDER: Final = (GOLDENTHREAD, UNION_FIND, UNIQUE_IDS, SPLINK, CEILING, CAREFUL)
_BEGIN: Final = "<!-- Begin: written by `python -m bench identity`. -->"
_END: Final = "<!-- End. -->"
_ABSENT: Final = "-"
_NAMES: Final = {
    "family_email": "family e-mail",
    "landline": "shared landline",
    "shared_device": "shared browser or tablet",
    "changed_email": "changed e-mail",
    "recycled_number": "recycled number",
    "two_records": "two CRM records",
    "business": "business contact",
    "two_brands": "two brands",
    "same_name": "same name",
    "kiosk": "at a kiosk",
    "mistyped": "mistyped e-mail",
    "mistyped_real": "… that is somebody's",
    "own_number": "own number on a call",
    "withheld": "withheld number",
    "dummy_crm": "dummy CRM number",
    "tests": "test",
    "forged": "forged claim",
}


def markdown(runs: Sequence[Run], version: str) -> str:
    """All tables."""
    first = runs[0]
    seeds = ", ".join(str(run.seed) for run in runs)
    events, copies, dead = (
        _range([getattr(run, name) for run in runs], _whole) for name in ("events", "copies", "dead")
    )
    heading = (
        f"Version {version}; seeds {seeds}; {first.persons:,} persons; {events} events, {copies} copies on top, {dead} "
        "without a usable identifier (`dead`). A figure is the mean over the seeds, with the least and the greatest in "
        "brackets where they differ."
    )
    parts = [heading, *_ways(runs), *_difficulties(runs), *_times(runs), *_nobody(runs)]
    problems = {run.splink_problem for run in runs if run.splink_problem}
    return "\n".join([*parts, *(f"\nSplink was left out: {problem}" for problem in sorted(problems))])


def write_into(path: Path, text: str) -> None:
    """Put the tables between the two marks of a file.

    Raises:
        UsageError: the file has no such marks.
    """
    held = path.read_text()
    marked = re.compile(f"{re.escape(_BEGIN)}.*{re.escape(_END)}", re.DOTALL)
    if marked.search(held) is None:
        raise UsageError(f"{path} has no lines {_BEGIN} and {_END} for the tables to stand between")
    path.write_text(marked.sub(lambda _: f"{_BEGIN}\n{text}\n{_END}", held))


def _ways(runs: Sequence[Run]) -> Iterator[str]:
    yield "\n### Events\n"
    yield from _head(
        "way", "wrong events %", "mixed customers %", "B³ precision", "B³ recall", "B³ F1", "pair precision",
        "pair recall", "pair F1",
    )  # fmt: skip
    for name in _ORDER:
        ways = [run.ways[name] for run in runs if name in run.ways]
        if ways:
            yield _row(
                _way_name(name, runs),
                _range([way.scores.wrong for way in ways], _percent),
                _range([way.mixed for way in ways], _percent),
                *(_range([value(way.scores) for way in ways], _three) for value in (*_CUBED, *_PAIRS)),
            )
    yield "\n### Lookups\n"
    yield from _head("way", "least grade", *_LOOKUP_COLUMNS)
    for name in _ORDER:
        for grade in GRADES:
            exposures = [run.ways[name].exposures for run in runs if name in run.ways]
            counted = _of((each[grade] for each in exposures if grade in each), "all")
            if counted:
                yield _row(_way_name(name, runs), f"`{grade}`", *_lookups(counted))


def _way_name(name: str, runs: Sequence[Run]) -> str:
    thresholds = sorted({run.splink_threshold for run in runs if run.splink_threshold is not None})
    return f"{name} ({', '.join(map(str, thresholds))})" if name == SPLINK else name


_CUBED: Final[tuple[Callable[[Scores], float], ...]] = (
    lambda scores: scores.precision,
    lambda scores: scores.recall,
    lambda scores: scores.f1,
)
_PAIRS: Final[tuple[Callable[[Scores], float], ...]] = (
    lambda scores: scores.pair_precision,
    lambda scores: scores.pair_recall,
    lambda scores: scores.pair_f1,
)
_LOOKUP_COLUMNS: Final = ("lookups", "answered %", "stranger's trait %", "close one's trait %", "planted %")


def _lookups(counted: Sequence[Exposure]) -> Iterator[str]:
    yield _range([each.lookups for each in counted], _whole)
    for outcome in ("answered", "stranger", "close", "planted"):
        yield _range([each.share(outcome) for each in counted], _percent)


def _of(exposures: Iterable[Exposures], heading: str) -> list[Exposure]:
    return [each[heading] for each in exposures if heading in each]


def _difficulties(runs: Sequence[Run]) -> Iterator[str]:
    yield "\n### By what is hard\n"
    yield (
        "Goldenthread's figures for the events of persons with the difficulty, then for the events in which it went "
        "wrong; and for lookups by those persons, or by the identifiers of such events. Then the B³ F1 of others.\n"
    )
    yield from _head(
        "difficulty", "share %", "events", "wrong %", "B³ precision", "B³ recall", "B³ F1", "stranger's trait %",
        "… `login`", "close one's trait %", "… `login`", "union-find", "unique ids", "splink", "ceiling",
    )  # fmt: skip
    shares = [Shares.of_seed(run.seed) for run in runs]
    for name in (*OF_PERSONS, *OF_EVENTS):
        ours = [run.ways[GOLDENTHREAD] for run in runs]
        scores = [way.by_difficulty[name] for way in ours]
        grades = [_of((way.exposures[grade] for way in ours), name) for grade in GRADES]
        yield _row(
            _NAMES[name],
            _mean([getattr(each, name) for each in shares], _percent) if hasattr(Shares, name) else "a third",
            _mean([each.events for each in scores], _whole),
            _range([each.wrong for each in scores], _percent),
            *(_range([value(each) for each in scores], _three) for value in _CUBED),
            *(
                _mean([each.share(sort) for each in some], _percent)
                for sort in ("stranger", "close")
                for some in grades
            ),
            *(
                _mean([run.ways[way].by_difficulty[name].f1 for run in runs if way in run.ways], _three)
                for way in (UNION_FIND, UNIQUE_IDS, SPLINK, CEILING)
            ),
        )


def _mean(values: Sequence[float], written: Callable[[float], str]) -> str:
    return written(fmean(values)) if values else _ABSENT


def _times(runs: Sequence[Run]) -> Iterator[str]:
    yield "\n### Lookups while events come in\n"
    yield from _head("events so far", "least grade", *_LOOKUP_COLUMNS)
    for share in runs[0].in_between:
        for grade in GRADES:
            yield _row(
                f"{share:.0%}", f"`{grade}`", *_lookups(_of((run.in_between[share][grade] for run in runs), "all"))
            )


def _nobody(runs: Sequence[Run]) -> Iterator[str]:
    yield "\n### Lookups by what is nobody's\n"
    yield "Kiosks' cookies, own numbers, dummies, and addresses that several people typed by mistake.\n"
    yield from _head("least grade", "identifiers", "answered with a context", "with somebody's trait")
    for grade in GRADES:
        counted = _of((run.of_nobody[grade] for run in runs), "all")
        figures = ([getattr(each, name) for each in counted] for name in ("lookups", "answered", "stranger"))
        yield _row(f"`{grade}`", *(_range(values, _whole) if values else _ABSENT for values in figures))


def _head(*names: str) -> Iterator[str]:
    yield _row(*names)
    yield _row(*("---" for _ in names))


def _row(*cells: str) -> str:
    return f"| {' | '.join(cells)} |"


def _range(values: Sequence[float], written: Callable[[float], str]) -> str:
    """The mean, and in brackets the least and the greatest where they differ as written."""
    mean, least, greatest = written(fmean(values)), written(min(values)), written(max(values))
    return mean if least == greatest else f"{mean} ({least}-{greatest})"


def _percent(value: float) -> str:
    return f"{100 * value:.1f}"


def _three(value: float) -> str:
    return f"{value:.3f}"


def _whole(value: float) -> str:
    return f"{value:,.0f}"
