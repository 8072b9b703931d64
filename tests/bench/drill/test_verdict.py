"""The verdict as people and programs read it."""

from collections.abc import Sequence
from typing import Any

import pytest

from bench.drill.verdict import Findings, Verdict, percentile


def verdict(**fields: Any) -> Verdict:
    given: dict[str, Any] = {
        "seed": 7,
        "seconds": 60.04,
        "events": 6_000,
        "orders": 40,
        "sends": 6_700,
        "retries": 12,
        "kills": 9,
        "faults": {"kill-worker": 8, "kill-broker": 1},
        "recoveries": [2.0, 4.0, 3.0],
        "findings": Findings(),
    }
    return Verdict(**given | fields)


def test_it_is_exact_only_when_it_was_judged_and_nothing_at_all_is_wrong() -> None:
    assert verdict().exact
    assert not verdict(findings=None).exact
    assert not verdict(reasons=["it did not catch up"]).exact
    for name in Findings().counts:
        findings = Findings()
        setattr(findings, name, 1)
        assert not verdict(findings=findings).exact, name


def test_its_name_tells_what_is_wrong_from_what_was_ended_early() -> None:
    assert verdict().name == "exact"
    assert verdict(findings=Findings(lost=1)).name == "wrong"
    assert verdict(findings=None, reasons=["it was ended early"]).name == "unfinished"
    assert verdict(findings=None, reasons=["a process gave up"], failed=True).name == "wrong"


def test_programs_get_every_count_and_null_for_what_was_not_judged() -> None:
    told = verdict(findings=Findings(doubled=3)).to_json()
    assert told == {
        "verdict": "wrong",
        "seed": 7,
        "seconds": 60.0,
        "events": 6_000,
        "orders": 40,
        "sends": 6_700,
        "retries": 12,
        "kills": 9,
        "faults": {"kill-broker": 1, "kill-worker": 8},
        "lost": 0,
        "doubled": 3,
        "wrong_fields": 0,
        "repeated_outputs": 0,
        "unexpected_dead_letters": 0,
        "recovery_seconds_p50": 3.0,
        "recovery_seconds_p99": 4.0,
        "recovery_seconds_max": 4.0,
        "reasons": [],
    }
    assert verdict(findings=None).to_json()["lost"] is None
    assert verdict(recoveries=[]).to_json()["recovery_seconds_p99"] is None


def test_people_get_a_table_examples_and_the_verdict_last() -> None:
    wrong = verdict(
        findings=Findings(lost=1, examples=["no interaction for e-1 of shop"]), reasons=["it did not catch up"]
    )
    lines = list(wrong.lines())
    assert "lost                     1" in lines
    assert "kill -9                  9" in lines
    assert "orders                   40" in lines
    assert "recovery                 p50 3.0 s, p99 4.0 s, max 4.0 s" in lines
    assert lines[-3:] == ["  no interaction for e-1 of shop", "it did not catch up", "verdict: wrong"]
    assert "lost                     not judged" in verdict(findings=None).lines()
    assert any("and 10 more" in line for line in verdict(findings=Findings(examples=["x"] * 50)).lines())


@pytest.mark.parametrize(
    ("values", "percent", "expected"),
    [
        ([], 50, None),
        ([5.0], 99, 5.0),
        ([1.0, 2.0], 50, 1.0),
        (list(range(1, 101)), 99, 99),
        (list(range(1, 201)), 99, 198),
    ],
)
def test_a_percentile_is_the_smallest_value_that_so_many_do_not_exceed(
    values: Sequence[float], percent: float, expected: float | None
) -> None:
    assert percentile(values, percent) == expected
