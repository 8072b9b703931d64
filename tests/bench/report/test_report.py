"""The report's table, its JSON line, its pictures' bars, and what may be asked for."""

import json
from pathlib import Path

import msgspec
import pytest

from bench.report import making, pictures
from bench.report.document import all_latencies, markdown, table
from bench.report.machine import Machine, this_machine
from bench.report.results import Results
from bench.report.targets import TARGETS, Figure, Outcome, headline, outcomes
from bench.throughput import parts
from bench.throughput.cold import NAME as COLD
from bench.throughput.parts import RATIOS, Throughput, ThroughputPlan
from bench.throughput.rounds import ratio, summarise
from bench.throughput.run import Run
from schemas.errors import UsageError
from tests.bench.throughput.runs import run
from tests.bench.throughput.test_rounds import WRONG

MACHINE = Machine("2026-01-01T00:00:00Z", "a processor", 2, 8.0, "Linux 6", 0.1, {"goldenthread": "0"})
RATES = {
    parts.STREAMS_200: 20_000.0,
    parts.CONTEXT_200: 60_000.0,
    parts.STREAMS_1000: 30_000.0,
    parts.CONTEXT_1000: 60_000.0,
    parts.QUIX: 25_000.0,
    parts.FAUST: 3_000.0,
    parts.PIPELINE: 24_000.0,
    COLD: 12_000.0,
    parts.HOT: 20_000.0,
    parts.LARGE: 15_000.0,
    parts.TWO: 36_000.0,
}


def results_of(rates: dict[str, float]) -> Results:
    runs: dict[str, tuple[Run, ...]] = {name: (run(name, rate), run(name, rate * 1.1)) for name, rate in rates.items()}
    ratios = tuple(ratio(runs, of, against) for of, against in RATIOS if of in runs and against in runs)
    summaries = tuple(summarise(name, each) for name, each in runs.items())
    return Results(
        MACHINE, Throughput(ThroughputPlan(rounds=2), summaries, ratios, runs, {"quix": {"quixstreams": "3"}})
    )


@pytest.fixture
def results() -> Results:
    return results_of(RATES)


def outcome(results: Results, begins: str) -> Outcome:
    return next(each for each in outcomes(results) if each.name.startswith(begins))


def test_targets_are_met_or_not(results: Results) -> None:
    assert outcome(results, "(a) context stage against Kafka").is_met is True
    assert outcome(results, "(a) the same, both at 1 s").is_met is False
    assert outcome(results, "(c) 1,000,000").is_met is False
    assert outcome(results, "(d) a hot").is_met is True
    assert outcome(results, "worker's resident memory").is_met is True


def test_what_was_not_measured_or_is_not_demanded_is_neither(results: Results) -> None:
    assert outcome(results, "freshness").is_met is None
    assert outcome(results, "freshness").figure is None
    assert outcome(results, "(f) two workers").is_met is None
    two = outcome(results, "(f) two workers").figure
    assert two is not None
    assert two.value == pytest.approx(1.5)
    assert all(each.is_met is None for each in outcomes(Results(MACHINE)))


def test_an_upper_bound_is_one() -> None:
    below, at = (Outcome("x", "under", 5.0, None, "ms", Figure(value)) for value in (4.9, 5.0))
    assert (below.is_met, at.is_met) == (True, False)


def test_the_last_line_has_exactly_these_keys(results: Results) -> None:
    line = making.last_line(results)
    assert "\n" not in line
    assert json.loads(line) == {
        "context_vs_kafka_streams": 3.0,
        "context_vs_quix": 2.4,
        "pipeline_vs_kafka_streams": 1.2,
        "pipeline_events_per_second": 25_200.0,
        "freshness_p99_ms": None,
        "lookup_p99_ms": None,
    }
    assert headline(Results(MACHINE)).keys() == headline(results).keys()


def test_the_markdown_shows_targets_engines_ratios_and_machine(results: Results) -> None:
    text = markdown(results, ["throughput.svg"])
    assert (
        "| (a) context stage against Kafka Streams, both exactly-once at 200 ms "
        "| 3.00 times (3.00 to 3.00) | at least 2.50 times | 3.00 | met |"
    ) in text
    assert "| **not met** |" in text
    assert "| freshness at 2,000 events/s, from 202 to visible, p99 | not measured | under 400 ms | 250 | - |" in text
    assert f"| {parts.FAUST} | 3,150 | 3,000 to 3,300 |" in text
    assert "| 2 of 2 |" in text
    assert "![throughput.svg](throughput.svg)" in text
    assert "| quix | quixstreams | 3 |" in text
    for line in text.splitlines():
        if line.startswith("|"):
            assert line.count("|") >= 4


def test_a_part_that_was_left_out_has_no_chapter() -> None:
    text = markdown(Results(MACHINE), [])
    assert "## Throughput" not in text
    assert "## Pictures" not in text
    assert "## Machine" in text


def test_tables_have_as_many_columns_in_every_line() -> None:
    lines = table(("a", "b"), [("1", "2"), ("3", "4")]).splitlines()
    assert lines == ["| a | b |", "| --- | --: |", "| 1 | 2 |", "| 3 | 4 |"]


def test_wrong_runs_are_told(results: Results) -> None:
    assert list(making.wrong(results)) == []
    assert results.throughput is not None
    runs = {**results.throughput.runs, "bad": (run("bad", 1.0, WRONG),)}
    bad = msgspec.structs.replace(results, throughput=msgspec.structs.replace(results.throughput, runs=runs))
    assert list(making.wrong(bad)) == ["bad: 1 differences, the first: interaction shop/1 of customer a is missing"]


def test_bars_are_of_all_engines_and_ours_stand_out(results: Results) -> None:
    charts = {chart.name: chart for chart in pictures.charts(results)}
    assert charts.keys() == {"throughput", "processor-seconds", "bytes-out"}
    bars = {bar.name: bar for bar in charts["throughput"].bars}
    assert bars.keys() == RATES.keys()
    assert (bars[parts.PIPELINE].ours, bars[parts.QUIX].ours) == (True, False)
    assert bars[parts.QUIX].least == 25_000.0
    assert bars[parts.QUIX].most == pytest.approx(27_500.0)


def test_files_are_written_whole(results: Results, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(making, "draw", lambda _results, _folder, _tell: ["throughput.svg"])
    text = making.write(results, tmp_path / "new", lambda _line: None)
    assert (tmp_path / "new" / making.MARKDOWN_FILE).read_text() == text
    whole = json.loads((tmp_path / "new" / making.JSON_FILE).read_text())
    assert whole["headline"]["context_vs_quix"] == 2.4
    assert len(whole["targets"]) == len(TARGETS)
    assert whole["throughput"]["runs"][parts.QUIX][0]["events_per_second"] == 25_000.0
    assert whole["machine"]["cores"] == 2


def test_what_may_be_asked_for() -> None:
    assert making.Wish(is_quick=True).names() == making.QUICK_NAMES
    quick = making.Wish(is_quick=True).throughput()
    assert quick is not None
    assert quick.rounds == ThroughputPlan.quick().rounds
    assert making.Wish(only=("freshness",)).throughput() is None
    chosen = making.Wish(only=("b", "lookup"), rounds=1).throughput()
    assert chosen is not None
    assert (chosen.names, chosen.rounds) == (parts.PARTS["b"], 1)
    with pytest.raises(UsageError, match="--only everything"):
        making.Wish(only=("everything",)).names()


def test_this_machine_is_described() -> None:
    machine = this_machine()
    assert machine.cores >= 1
    assert machine.memory_gb > 0.1
    assert machine.processor
    assert {"goldenthread", "Apache Kafka", "librdkafka", "Python"} <= machine.versions.keys()


def test_percentiles_are_found_wherever_they_are() -> None:
    from bench.load.latencies import latencies_of

    class Inner(msgspec.Struct):
        hop: object

    class Outer(msgspec.Struct):
        first: object
        more: dict[str, object]

    one, other = latencies_of([0.001]), latencies_of([0.002])
    found = dict(all_latencies(Outer(Inner(one), {"by id": other})))
    assert found == {("first", "hop"): one, ("more", "by id"): other}
