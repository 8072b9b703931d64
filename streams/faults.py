"""Fault points: named places between the steps of a commit where tests and drills may hit a process.

Free when unused: a process without a plan holds `no_fault`, which is an empty function.

A plan is `[STAGE/]POINT[:COUNT][=ACTION]`, several separated by commas. The action happens once, the COUNT-th time (the
first by default) that a stage passes the point; without a STAGE each stage counts for itself.
"""

import os
import signal
import threading
import time
from collections.abc import Callable, Sequence
from enum import StrEnum
from typing import Final, NamedTuple

from schemas.errors import RestartNeeded, SettingError

FaultHook = Callable[[str], None]

SETTING: Final = "GOLDENTHREAD_FAULT"
STAGES: Final = ("intake", "identity", "context")
#: SIGKILL; SIGSTOP; raise RestartNeeded. A fourth is `wait-SECONDS`: the step blocks for so long.
ACTIONS: Final = ("kill", "stop", "fail")
_WAIT: Final = "wait-"
_WAIT_SECONDS_MAX: Final = 3_600.0


class FaultPoint(StrEnum):
    """Every place, in the order in which a process passes them."""

    # A partition's opening.
    OPEN_BEFORE_FENCE = "open_before_fence"
    OPEN_AFTER_FENCE = "open_after_fence"
    OPEN_DURING_RESTORE = "open_during_restore"
    OPEN_AFTER_RESTORE = "open_after_restore"
    OPEN_AFTER_POSITION = "open_after_position"
    # A checkpoint.
    BEFORE_TRANSACTION = "before_transaction"
    AFTER_BEGIN = "after_begin"
    AFTER_OUTPUTS = "after_outputs"
    AFTER_ROWS = "after_rows"
    AFTER_FLUSH = "after_flush"
    AFTER_COMMIT = "after_commit"
    AFTER_STORE = "after_store"
    AFTER_ACKNOWLEDGE = "after_acknowledge"
    # A stateless stage.
    INTAKE_BEFORE_PRODUCE = "intake_before_produce"
    INTAKE_BEFORE_DEAD = "intake_before_dead"
    INTAKE_AFTER_DEAD = "intake_after_dead"
    INTAKE_AFTER_PRODUCE = "intake_after_produce"
    INTAKE_AFTER_FLUSH = "intake_after_flush"
    INTAKE_AFTER_ACKNOWLEDGE = "intake_after_acknowledge"


class Fault(NamedTuple):
    """One entry of a plan."""

    #: None: of every stage.
    stage: str | None
    point: FaultPoint
    passes: int
    action: str

    def act(self) -> None:
        """Do it.

        Raises:
            RestartNeeded: that is the action.
        """
        if self.action == "kill":
            os.kill(os.getpid(), signal.SIGKILL)
        elif self.action == "stop":
            os.kill(os.getpid(), signal.SIGSTOP)
        elif self.action == "fail":
            raise RestartNeeded(f"{SETTING} fails {self.point}")
        else:
            time.sleep(float(self.action.removeprefix(_WAIT)))


class Faults:
    """The hook of one stage: counts the passes of each point, and acts when the plan says so."""

    def __init__(self, plan: Sequence[Fault]) -> None:
        self._left = {fault: fault.passes for fault in plan}
        # A stage's partitions pass its points in threads of their own.
        self._counting = threading.Lock()

    def __call__(self, point: str) -> None:
        """Count the pass, and act where it is the one."""
        with self._counting:
            passed = [fault for fault in self._left if fault.point == point]
            for fault in passed:
                self._left[fault] -= 1
            due = [fault for fault in passed if self._left[fault] == 0]
        for fault in due:
            fault.act()


def no_fault(_point: str) -> None:
    """Nothing happens."""


def read_plan(plan: str) -> list[Fault]:
    """The entries of a plan.

    Raises:
        SettingError: it is none; the message has the grammar.
    """
    return [_read_entry(entry.strip()) for entry in plan.split(",")]


def fault_hook(plan: str | None, stage: str) -> FaultHook:
    """The hook of one stage, or none where the plan has nothing for it: `after_commit:3` kills the third time.

    Raises:
        SettingError: no such point, number or action.
    """
    mine = [fault for fault in read_plan(plan) if fault.stage in (None, stage)] if plan else []
    return Faults(mine) if mine else no_fault


def _read_entry(entry: str) -> Fault:
    place, equals, action = entry.partition("=")
    stage, slash, point = place.rpartition("/")
    point, colon, passes = point.partition(":")
    try:
        fault = Fault(stage or None, FaultPoint(point), int(passes) if colon else 1, action if equals else "kill")
        known = not slash or stage in STAGES
        if not known or fault.passes < 1 or not _is_action(fault.action):
            raise ValueError(entry)
    except ValueError:
        raise SettingError(
            f"{SETTING}={entry!r}: it has the form [STAGE/]POINT[:COUNT][=ACTION], several separated by commas, with a "
            f"stage of {', '.join(STAGES)}, an action of {', '.join(ACTIONS)} (kill by default) or {_WAIT}SECONDS, and "
            f"a point of {', '.join(FaultPoint)}"
        ) from None
    return fault


def _is_action(action: str) -> bool:
    if not action.startswith(_WAIT):
        return action in ACTIONS
    return 0 < float(action.removeprefix(_WAIT)) <= _WAIT_SECONDS_MAX
