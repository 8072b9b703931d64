"""What takes long runs in a thread of its own, one at a time, within a deadline; probes and orders do not wait."""

import asyncio
import threading
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, Final, TypeVar

from connectors.admin.problems import BUSY
from connectors.web.problems import ProblemError, retry_after

#: How many may wait for the one that runs.
WAITING_MAX: Final = 4
#: The deadline of a dry run, the wait for those before it included: nobody looks at a terminal for longer.
DEADLINE_SECONDS: Final = 20.0
#: The deadline of a search, which reads everything once.
SEARCH_DEADLINE_SECONDS: Final = 120.0
# Told to clients whose turn does not come.
_RETRY_SECONDS: Final = 2

Result = TypeVar("Result")


class SlowWork:
    """A thread for functions that block.

    Args:
        waiting_max: How many may wait besides the one that runs.
        deadline_s: How long a caller waits, the time in the queue included.
    """

    def __init__(self, *, waiting_max: int = WAITING_MAX, deadline_s: float = DEADLINE_SECONDS) -> None:
        self._executor = ThreadPoolExecutor(max_workers=1, thread_name_prefix="slow-work")
        self._waiting_max = waiting_max
        self._deadline_s = deadline_s
        self._under_way: set[Future[Any]] = set()
        self._lock = threading.Lock()

    async def run(self, function: Callable[[Callable[[], bool]], Result]) -> Result:
        """What the function returns; it is given what tells it whether its answer is still wanted.

        Raises:
            ProblemError: 503, too many wait, or it took too long.
        """
        abandoned = threading.Event()
        with self._lock:
            if len(self._under_way) > self._waiting_max:
                raise self._busy("Too many dry runs and searches wait already.")
            future = self._executor.submit(function, lambda: not abandoned.is_set())
            self._under_way.add(future)
        future.add_done_callback(self._done)
        try:
            return await asyncio.wait_for(asyncio.wrap_future(future), self._deadline_s)
        except TimeoutError:
            raise self._busy(f"It was not done within {self._deadline_s:g} seconds.") from None
        finally:
            # What was not begun is cancelled with the one who waits; what runs ends as soon as it asks.
            abandoned.set()

    def close(self) -> None:
        """Begin nothing more; does not wait."""
        self._executor.shutdown(wait=False, cancel_futures=True)

    def _done(self, future: "Future[Any]") -> None:
        with self._lock:
            self._under_way.discard(future)

    @staticmethod
    def _busy(detail: str) -> ProblemError:
        return ProblemError(BUSY, detail, headers=retry_after(_RETRY_SECONDS))
