"""Runs checks side by side, each within its own time: one that hangs is told as a finding and left behind."""

import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

from goldenthread.doctor.examination import Examination, Report
from goldenthread.doctor.finding import Finding, Status
from schemas.errors import GoldenthreadError

#: With the broker's own check before those that need it, all of them are over in the sum of two deadlines.
DEADLINE_SECONDS: Final = 6.0
#: Name of the check on which the others that ask the broker hang.
BROKER: Final = "broker"


@dataclass(frozen=True)
class Check:
    """One check.

    Attributes:
        name: Unique among all checks.
        examine: Looks and reports; an error of ours that it raises is a problem.
        needs_broker: Run only if a broker answers.
        deadline_s: How long it may take.
    """

    name: str
    examine: Callable[[Examination, Report], None]
    needs_broker: bool = False
    deadline_s: float = DEADLINE_SECONDS


def run_checks(checks: Sequence[Check], examination: Examination) -> list[Finding]:
    """The findings of all checks, in the order of the checks.

    1. Start all that need no broker. 2. Wait for the broker's. 3. Start the others if there is one. 4. Wait for all.
    """
    # 1. Start all that need no broker.
    runs = {check.name: _Run(check, examination) for check in checks if not check.needs_broker}
    # 2. Wait for the broker's.
    broker = runs.get(BROKER)
    answers = broker is not None and not any(f.status in {Status.PROBLEM, Status.WARNING} for f in broker.findings())
    # 3. Start the others if there is one.
    waiting = [check for check in checks if check.needs_broker]
    if answers:
        runs |= {check.name: _Run(check, examination) for check in waiting}
    skipped = [] if answers else [check.name for check in waiting]
    # 4. Wait for all.
    findings: list[Finding] = []
    for check in checks:
        if check.name in skipped:
            findings.append(Finding(check.name, Status.SKIPPED, "no broker answers"))
        else:
            findings += runs[check.name].findings()
    return findings


class _Run:
    """A check in a thread of its own; the thread is a daemon, so that one that hangs holds nobody."""

    def __init__(self, check: Check, examination: Examination) -> None:
        self._check = check
        self._report = Report(check.name)
        self._examination = examination
        self._thread = threading.Thread(target=self._run, name=f"check-{check.name}", daemon=True)
        self._deadline = time.monotonic() + check.deadline_s
        self._thread.start()

    def findings(self) -> list[Finding]:
        """What it found, once it is over or its time is."""
        self._thread.join(max(0.0, self._deadline - time.monotonic()))
        found = list(self._report.findings)
        if self._thread.is_alive():
            action = "look at what it asks: the broker, a service, the disk"
            found.append(
                Finding(self._check.name, Status.PROBLEM, f"no answer within {self._check.deadline_s:g} s", action)
            )
        return found

    def _run(self) -> None:
        try:
            self._check.examine(self._examination, self._report)
        except GoldenthreadError as error:
            self._report.problem(str(error), _advice(error))
        except Exception as error:  # noqa: BLE001 - a check that fails is a finding; the others go on.
            self._report.problem(f"the check itself failed: {error!r}", "report this as a mistake of the program")


def _advice(error: GoldenthreadError) -> str:
    """The docstring of an error is what its reader should do."""
    return " ".join((type(error).__doc__ or "").split())
