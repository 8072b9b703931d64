"""The doctor beside a running system, and with settings that nobody can read."""

import json

import pytest

from tests.running_system import RunningSystem

pytestmark = pytest.mark.kafka

PROBLEMS_FOUND, USAGE = 1, 2


def test_a_system_that_runs_has_no_problem(system: RunningSystem) -> None:
    examined = system.run("doctor", "--json")
    assert examined.returncode == 0, examined.stdout + examined.stderr
    report = json.loads(examined.stdout)
    fine = {one["check"] for one in report["findings"] if one["status"] == "ok"}
    assert fine >= {"worker", "collect", "lookup", "admin", "broker", "topics", "offsets", "lag", "secret", "clock"}
    # No record of the clock is there before the first event.
    assert {one["check"] for one in report["findings"] if one["status"] in {"problem", "skipped"}} <= {"broker clock"}


def test_the_same_system_under_another_secret_has_one(system: RunningSystem) -> None:
    examined = system.run("doctor", GOLDENTHREAD_SECRET="another secret than that of the data")  # noqa: S106 - none.
    assert examined.returncode == PROBLEMS_FOUND
    told = [line.split() for line in examined.stdout.splitlines() if line.startswith("problem")]
    assert ["problem", "secret"] in [words[:2] for words in told]


def test_settings_that_cannot_be_read_are_said_to_be_all(system: RunningSystem) -> None:
    examined = system.run("doctor", "--json", GOLDENTHREAD_PARTITIONS="many")
    assert examined.returncode == USAGE
    (finding,) = json.loads(examined.stdout)["findings"]
    assert (finding["check"], "GOLDENTHREAD_PARTITIONS" in finding["found"]) == ("settings", True)
