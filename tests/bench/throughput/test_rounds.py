"""Turns go A B A B, and a ratio is of rounds, not of medians."""

import msgspec
import pytest

from bench.job.check import Verdict
from bench.throughput.parts import PARTS, RATIOS, ThroughputPlan
from bench.throughput.rounds import Ratio, ratio, summarise, take_turns
from bench.throughput.run import Run, shown
from schemas.errors import RestartNeeded, UsageError
from tests.bench.throughput.runs import run

WRONG = Verdict(100, 10, 0, 1, ("interaction shop/1 of customer a is missing",))


def test_engines_take_turns() -> None:
    order: list[str] = []

    def contender(name: str, number: int) -> Run:
        order.append(f"{name}{number}")
        return run(name, 100.0)

    contenders = {name: lambda number, name=name: contender(name, number) for name in "AB"}
    turns = take_turns(contenders, 2, order.append)
    assert order == ["A1", "B2", "A3", "B4"]
    assert {name: len(each) for name, each in turns.runs.items()} == {"A": 2, "B": 2}
    assert turns.failures == {}


def test_an_engine_that_fails_is_left_out_and_told_of() -> None:
    told: list[str] = []

    def fail(number: int) -> Run:
        if number > 1:
            raise RestartNeeded("it ended with code 3")
        return run("A", 100.0)

    turns = take_turns({"A": fail, "B": lambda _number: run("B", 100.0)}, 3, told.append)
    assert turns.runs.keys() == {"B"}
    assert len(turns.runs["B"]) == 3
    assert turns.failures == {"A": "RestartNeeded: it ended with code 3"}
    assert told == ["A failed: RestartNeeded: it ended with code 3"]


def test_a_ratio_is_the_median_of_the_rounds_ratios() -> None:
    # The machine was half as fast in the second round, for both.
    runs = {
        "A": [run("A", 300.0), run("A", 150.0), run("A", 360.0)],
        "B": [run("B", 100.0), run("B", 50.0), run("B", 100.0)],
    }
    assert ratio(runs, "A", "B") == Ratio("A", "B", 3.0, 3.0, 3.6)


def test_a_summary_counts_the_rounds_that_were_right() -> None:
    runs = [run("A", 100.0), run("A", 300.0, WRONG), msgspec.structs.replace(run("A", 200.0), exit_codes=(0, 3))]
    summary = summarise("A", runs)
    assert (summary.events_per_second, summary.least_per_second, summary.most_per_second) == (200.0, 100.0, 300.0)
    assert (summary.right, summary.rounds) == (1, 3)
    assert summary.bytes_out_per_event_in == 300.0


def test_a_run_that_is_wrong_says_how() -> None:
    assert "1 DIFFERENCES: interaction shop/1 of customer a is missing" in shown(run("A", 100.0, WRONG))
    assert "agrees" in shown(run("A", 100.0))


def test_parts_are_chosen_by_their_letters() -> None:
    assert ThroughputPlan().only(("b", "d")).names == (*PARTS["b"], *PARTS["d"])
    with pytest.raises(UsageError, match="no part z"):
        ThroughputPlan().only(("z",))


def test_every_ratio_is_of_engines_that_run() -> None:
    names = set(ThroughputPlan().names)
    assert {name for pair in RATIOS for name in pair} <= names
    assert set(ThroughputPlan.quick().names) < names
