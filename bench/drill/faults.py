"""Does what the schedule says, to processes by their id."""

import asyncio
import os
import signal
from collections import Counter
from collections.abc import Coroutine
from contextlib import suppress
from typing import Final

from bench.drill.installation import Installation
from bench.drill.schedule import Fault, FaultKind

#: How long a process that is just being started again is waited for; a worker waits for a broker that recovers.
PATIENCE_SECONDS: Final = 30.0
_POLL_SECONDS: Final = 0.02
_KILLS: Final = frozenset(
    {
        FaultKind.KILL_WORKER,
        FaultKind.KILL_WORKERS,
        FaultKind.WIPE_WORKER,
        FaultKind.KILL_AT_POINT,
        FaultKind.KILL_COLLECT,
        FaultKind.KILL_LOOKUP,
        FaultKind.KILL_BROKER,
    }
)


class Faults:
    """Strikes, and counts what it struck.

    Attributes:
        struck: Faults that happened, by kind.
        missed: Faults whose target did not run in time.
    """

    def __init__(self, installation: Installation) -> None:
        self._installation = installation
        self._over = asyncio.Event()
        self._lasting: set[asyncio.Task[None]] = set()
        self.struck: Counter[FaultKind] = Counter()
        self.missed = 0

    async def strike(self, fault: Fault) -> bool:
        """Let it happen now; what lasts ends by itself. False when its target did not run for `PATIENCE_SECONDS`."""
        if fault.kind is FaultKind.EXTRA_WORKER:
            struck = True
            self._installation.join()
            self._start(self._leave(fault.lasts_seconds))
        else:
            # Both of a pair are found before the first is hit, so that they go down together.
            pids = [await self._pid(name) for name in fault.targets]
            found = {name: pid for name, pid in zip(fault.targets, pids, strict=True) if pid is not None}
            hits = [self._hit(fault, name, pid) for name, pid in found.items()]
            struck = any(hits)
        self.struck[fault.kind] += struck
        self.missed += not struck
        return struck

    async def heal(self) -> None:
        """End what still lasts: wake the paused, let the third worker leave."""
        self._over.set()
        await asyncio.gather(*self._lasting)
        await self._installation.leave()

    def _hit(self, fault: Fault, name: str, pid: int) -> bool:
        if fault.kind is FaultKind.WIPE_WORKER:
            self._installation.wipe(name)
        if fault.kind is FaultKind.KILL_AT_POINT:
            self._installation.arm(name, fault.plan)
        if fault.kind in _KILLS:
            return _signalled(pid, signal.SIGKILL)
        if fault.kind is FaultKind.STOP_WORKER:
            return _signalled(pid, signal.SIGTERM)
        self._start(self._wake(name, pid, fault.lasts_seconds))
        return _signalled(pid, signal.SIGSTOP)

    async def _pid(self, name: str) -> int | None:
        with suppress(TimeoutError):
            async with asyncio.timeout(PATIENCE_SECONDS):
                while self._installation.pid(name) is None:  # noqa: ASYNC110 - another process comes up by itself.
                    await asyncio.sleep(_POLL_SECONDS)
        return self._installation.pid(name)

    def _start(self, lasting: Coroutine[None, None, None]) -> None:
        task = asyncio.ensure_future(lasting)
        self._lasting.add(task)
        task.add_done_callback(self._lasting.discard)

    async def _wake(self, name: str, pid: int, seconds: float) -> None:
        await self._lasted(seconds)
        # Another process may have got the number of one that was killed while it stood still.
        if self._installation.pid(name) == pid:
            _signalled(pid, signal.SIGCONT)

    async def _leave(self, seconds: float) -> None:
        await self._lasted(seconds)
        await self._installation.leave()

    async def _lasted(self, seconds: float) -> None:
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._over.wait()


def _signalled(pid: int, number: signal.Signals) -> bool:
    try:
        os.kill(pid, number)
    except ProcessLookupError:
        return False
    return True
