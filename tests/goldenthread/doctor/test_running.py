"""Goal: however bad a check or the world is, the doctor answers in time. Method: checks that misbehave."""

import re
import threading
import time
from dataclasses import replace
from pathlib import Path

import pytest

from goldenthread.doctor.checklist import CHECKS
from goldenthread.doctor.examination import Examination, Report
from goldenthread.doctor.finding import Finding, Status, worst
from goldenthread.doctor.running import BROKER, Check, run_checks
from goldenthread.settings import load_settings
from schemas.errors import TopicError
from tests.conftest import FreePorts
from tests.goldenthread.doctor.conftest import Examine

TOGETHER_S_MAX = 15.0


def fails(_examination: Examination, _report: Report) -> None:
    raise ValueError("of a kind that nobody thought of")


def refuses(_examination: Examination, _report: Report) -> None:
    raise TopicError("the topic is wrong")


def fine(_examination: Examination, report: Report) -> None:
    report.ok("all is well")


@pytest.mark.usefixtures("examine")
def test_a_check_that_hangs_is_a_finding_and_the_others_are_told() -> None:
    released = threading.Event()

    def hangs(_examination: Examination, report: Report) -> None:
        report.ok("said before")
        released.wait(30)

    examination = Examination.of(load_settings())
    try:
        findings = run_checks([Check("hangs", hangs, deadline_s=0.2), Check("fine", fine)], examination)
    finally:
        released.set()
    assert [(one.check, one.status) for one in findings] == [
        ("hangs", Status.OK),
        ("hangs", Status.PROBLEM),
        ("fine", Status.OK),
    ]
    assert "0.2 s" in findings[1].found


def test_an_error_of_ours_is_a_problem_with_its_advice(examine: Examine) -> None:
    (finding,) = examine(refuses)
    assert (finding.status, finding.found) == (Status.PROBLEM, "the topic is wrong")
    assert finding.action.startswith("Make the topic as the message says")


def test_any_other_error_is_a_problem_too(examine: Examine) -> None:
    (finding,) = examine(fails)
    assert finding.status is Status.PROBLEM
    assert "ValueError" in finding.found


@pytest.mark.parametrize(("say", "status"), [("ok", Status.OK), ("warn", Status.SKIPPED), ("problem", Status.SKIPPED)])
@pytest.mark.usefixtures("examine")
def test_checks_that_need_the_broker_wait_for_its_check(say: str, status: Status) -> None:
    def broker(_examination: Examination, report: Report) -> None:
        getattr(report, say)("found", *([] if say == "ok" else ["action"]))

    checks = [Check("later", fine, needs_broker=True), Check(BROKER, broker)]
    assert run_checks(checks, Examination.of(load_settings()))[0].status is status


def test_the_worst_status_counts() -> None:
    findings = [Finding("a", status, "") for status in (Status.WARNING, Status.OK, Status.SKIPPED)]
    assert worst(findings) is Status.WARNING
    assert worst([]) is Status.OK


def test_every_check_has_a_name_of_its_own_and_stands_in_the_docs_in_this_order() -> None:
    names = [check.name for check in CHECKS]
    assert len(set(names)) == len(names)
    text = (Path(__file__).parents[3] / "docs" / "doctor.md").read_text()
    rows = text[text.index("| check |") :].splitlines()[2:]
    documented = [name for row in rows for name in re.findall(r"`([a-z ]+)`", row.split("|")[1])]
    assert documented == names


@pytest.mark.parametrize(
    ("brokers", "expected", "advice"),
    [
        (None, Status.WARNING, "goldenthread up starts it; set KAFKA_BOOTSTRAP_SERVERS"),
        ("127.0.0.1:9", Status.PROBLEM, "start the broker"),
    ],
)
@pytest.mark.usefixtures("examine")
def test_with_everything_down_all_checks_answer_in_time_and_make_nothing(
    tmp_path: Path, free_ports: FreePorts, brokers: str | None, expected: Status, advice: str
) -> None:
    names = ("lookup_port", "collect_port", "admin_port", "worker_port", "broker_port", "controller_port")
    ports = dict(zip(names, free_ports(len(names)), strict=True))
    settings = load_settings(data_dir=tmp_path / "data", kafka_bootstrap_servers=brokers, **ports)
    before = sorted(tmp_path.rglob("*"))
    began = time.monotonic()
    findings = run_checks([replace(check) for check in CHECKS], Examination.of(settings))
    assert time.monotonic() - began < TOGETHER_S_MAX
    assert sorted(tmp_path.rglob("*")) == before
    status = {finding.check: finding.status for finding in findings}
    assert status[BROKER] is expected
    assert next(finding.action for finding in findings if finding.check == BROKER).startswith(advice)
    assert status["topics"] is Status.SKIPPED
    assert status["collect"] is Status.WARNING
    assert set(status) == {check.name for check in CHECKS}
    assert all(finding.action for finding in findings if finding.status in {Status.WARNING, Status.PROBLEM})
