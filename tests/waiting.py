"""Waiting for what comes about by itself: a look now and then to a deadline, and never a sleep for luck."""

import asyncio
import time
from collections.abc import Callable
from typing import Final

#: Whole systems start, restore and take over within this, on a slow machine too.
SYSTEM_DEADLINE_S: Final = 150.0
#: What happens within one process takes far less.
DEADLINE_S: Final = 30.0
_SYSTEM_POLL_S: Final = 0.05
_POLL_S: Final = 0.005


def wait_until(
    condition: Callable[[], object],
    what: str = "the condition did not come true",
    deadline_s: float = SYSTEM_DEADLINE_S,
) -> None:
    """Return once the condition holds; fail with what was waited for when it does not in time."""
    deadline = time.monotonic() + deadline_s
    while not condition():
        assert time.monotonic() < deadline, f"not within {deadline_s:g} s: {what}"
        time.sleep(_SYSTEM_POLL_S)


async def until(condition: Callable[[], object], deadline_s: float = DEADLINE_S) -> None:
    """As `wait_until`, while the event loop goes on."""
    deadline = time.monotonic() + deadline_s
    while not condition():
        assert time.monotonic() < deadline, f"the condition did not come true within {deadline_s:g} s"
        await asyncio.sleep(_POLL_S)
