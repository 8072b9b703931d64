"""Fault points: named places between the steps of a commit where tests and drills may kill, pause or fail a process.

Free when unused: a process without a plan holds `no_fault`, which is an empty function.
"""

import os
import signal
from collections.abc import Callable
from enum import StrEnum
from typing import Final

from schemas.errors import SettingError

FaultHook = Callable[[str], None]


class FaultPoint(StrEnum):
    """Every place, in the order of a checkpoint."""

    BEFORE_TRANSACTION = "before_transaction"
    AFTER_OUTPUTS = "after_outputs"
    AFTER_ROWS = "after_rows"
    AFTER_COMMIT = "after_commit"
    AFTER_STORE = "after_store"
    AFTER_ACKNOWLEDGE = "after_acknowledge"
    INTAKE_AFTER_PRODUCE = "intake_after_produce"
    INTAKE_AFTER_FLUSH = "intake_after_flush"


def no_fault(_point: str) -> None:
    """Nothing happens."""


class KillAt:
    """Ends this process without warning (SIGKILL) the n-th time that a point is passed."""

    def __init__(self, point: FaultPoint, passes: int = 1) -> None:
        self._point = point
        self._left = passes

    def __call__(self, point: str) -> None:
        """Count the pass, and kill when it is the one."""
        if point == self._point:
            self._left -= 1
            if self._left == 0:
                os.kill(os.getpid(), signal.SIGKILL)


SETTING: Final = "GOLDENTHREAD_FAULT"


def fault_hook(plan: str | None) -> FaultHook:
    """The hook of a plan such as `after_commit:3` (kill the third time), or none.

    Raises:
        SettingError: no such point, or no such number.
    """
    if not plan:
        return no_fault
    name, _, passes = plan.partition(":")
    try:
        count = int(passes or "1")
        if count < 1:
            raise ValueError(passes)
        return KillAt(FaultPoint(name), count)
    except ValueError:
        raise SettingError(
            f"{SETTING}={plan!r}: it has the form POINT or POINT:COUNT, with a point of {', '.join(FaultPoint)}"
        ) from None
