"""The life of one child: wait for what it needs, start, get ready, end, and again."""

import asyncio
import random
import time
from collections import deque
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import Final, NamedTuple

from goldenthread.supervisor.child_log import ChildLog
from goldenthread.supervisor.child_process import ChildProcess
from goldenthread.supervisor.child_spec import (
    ChildEvent,
    ChildSpec,
    ChildState,
    ChildStatus,
    Failure,
    ReadyCheck,
    RestartPolicy,
)
from schemas.errors import EXIT_DONE, EXIT_OPERATOR, EXIT_USAGE
from streams.broker.log_tail import log_tail
from streams.lifeline import EXIT_NOT_RUNNABLE

READY_POLL_S: Final = 0.1


class _End(NamedTuple):
    """How one run of a child ended."""

    code: int
    how: str
    too_slow: bool = False


class Child:
    """Keeps one child running; `run` ends with a failure, or with None when there is nothing left to do.

    Cancel `run` to stop the child: it ends after the process did. After `retire` an end is not followed by a restart.
    """

    def __init__(
        self,
        spec: ChildSpec,
        *,
        needs: Sequence["Child"],
        log: ChildLog,
        policy: RestartPolicy,
        hurry: asyncio.Event,
        on_event: Callable[[ChildEvent], None],
        dice: random.Random,
    ) -> None:
        self.spec = spec
        self.available = asyncio.Event()
        self.needs = needs
        self._log = log
        self._policy = policy
        self._hurry = hurry
        self._on_event = on_event
        self._dice = dice
        self._retired = False
        self._was_ready = False
        self._restarts = 0
        self._recent: deque[float] = deque(maxlen=policy.restarts_max + 1)
        self.status = ChildStatus(spec.name, ChildState.WAITING, time.time(), None, 0)

    async def run(self) -> Failure | None:
        """Run the child until it is done, retired, or beyond what a restart may heal.

        1. Wait for what it needs. 2. Start. 3. Wait until it is ready. 4. Wait for its end. 5. Judge the end.
        6. Back off. Then again.
        """
        try:
            while True:
                # 1. What it needs has its own bounds: it becomes ready, or fails and ends everything.
                await self._wait_for_needs()
                # 2. to 4.
                end = await self._run_once()
                # 5. Judge the end.
                if self._retired:
                    self._enter(ChildState.STOPPED, end.how)
                    return None
                if self.spec.one_shot and end.code == EXIT_DONE and not end.too_slow:
                    self._enter(ChildState.DONE)
                    self.available.set()
                    return None
                if reason := self._beyond_restart(end):
                    self._enter(ChildState.FAILED, reason)
                    return Failure(self.spec.name, reason, end.code, tuple(self._last_words()))
                # 6. Back off.
                self._restarts += 1
                delay_s = self._backoff_s()
                self._enter(ChildState.BACKING_OFF, f"{end.how}; starts again in {delay_s:.1f} s")
                await asyncio.sleep(delay_s)
        except asyncio.CancelledError:
            self._enter(ChildState.STOPPED)
            raise

    def retire(self) -> None:
        """Do not start it again when it ends."""
        self._retired = True

    async def _wait_for_needs(self) -> None:
        while missing := [child for child in self.needs if not child.available.is_set()]:
            if self.status.state is not ChildState.WAITING:
                self._enter(ChildState.WAITING, f"for {missing[0].spec.name}")
            await missing[0].available.wait()

    async def _run_once(self) -> _End:
        """Start the process and see it through to its end."""
        process = await ChildProcess.start(self.spec, self._log)
        self._log.write(f"--- {datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ} started as process {process.pid}\n".encode())
        # What was said before this start explains nothing about it.
        self._log.forget()
        self._enter(ChildState.STARTING, pid=process.pid)
        try:
            if await self._get_ready(process):
                code = await process.wait()
                return _End(code, f"ended with code {code}" if code >= 0 else f"was killed by signal {-code}")
            code = await process.stop(self._hurry)
            return _End(code, f"was not ready within {self.spec.ready_deadline_s:g} s", too_slow=True)
        except BaseException:
            self._enter(ChildState.STOPPING, pid=process.pid)
            await process.stop(self._hurry)
            raise
        finally:
            self.available.clear()

    async def _get_ready(self, process: ChildProcess) -> bool:
        """Wait until the child is ready or has ended; False when neither happens in time. A one-shot has to end."""
        if self.spec.one_shot:
            try:
                async with asyncio.timeout(self.spec.ready_deadline_s):
                    await process.wait()
            except TimeoutError:
                return False
            return True
        if self.spec.ready is not None:
            asking = asyncio.ensure_future(self._ask_until_ready(self.spec.ready))
            ending = asyncio.ensure_future(process.wait())
            try:
                ended, _ = await asyncio.wait(
                    (asking, ending), timeout=self.spec.ready_deadline_s, return_when=asyncio.FIRST_COMPLETED
                )
            finally:
                asking.cancel()
                ending.cancel()
            if ending in ended or not ended:
                return ending in ended
            # A check that raises is a mistake in the program, not a child that is not ready yet.
            asking.result()
        self._was_ready = True
        self._enter(ChildState.READY, pid=process.pid)
        self.available.set()
        return True

    async def _ask_until_ready(self, ready: ReadyCheck) -> None:
        # Another process gets ready, which sets no event here: it has to be polled.
        while not await ready():  # noqa: ASYNC110 - see above.
            await asyncio.sleep(READY_POLL_S)

    def _beyond_restart(self, end: _End) -> str:
        """Why there is no point in another start, or an empty text."""
        if end.too_slow:
            # One that was ready before may be held up by a recovery; one that never was will not be.
            if not self._was_ready:
                return end.how
        elif end.code == EXIT_OPERATOR:
            return f"{end.how}: it needs a decision that a restart can't make"
        elif end.code == EXIT_NOT_RUNNABLE:
            return f"{end.how}: its program can't be run"
        elif end.code == EXIT_USAGE and not self._has_worked and all(each.available.is_set() for each in self.needs):
            # While what it needs is away, or where it worked with these very settings, it says no more than that.
            return f"{end.how}: its settings or arguments are wrong"
        now = time.monotonic()
        self._recent.append(now)
        while self._recent[0] < now - self._policy.window_s:
            self._recent.popleft()
        if len(self._recent) > self._policy.restarts_max:
            return f"{end.how}, and was restarted {self._policy.restarts_max} times in {self._policy.window_s:g} s"
        return ""

    @property
    def _has_worked(self) -> bool:
        """Whether it said so itself: a child that is never asked is ready as soon as it runs."""
        return self._was_ready and self.spec.ready is not None

    def _backoff_s(self) -> float:
        policy = self._policy
        delay_s = min(policy.backoff_max_s, policy.backoff_min_s * 2.0 ** (len(self._recent) - 1))
        return delay_s * (1 + self._dice.uniform(-policy.jitter, policy.jitter))

    def _last_words(self) -> list[str]:
        own = log_tail(self.spec.own_log) if self.spec.own_log else []
        return [*own, *self._log.last_lines(), f"See {self._log.path}" + (f" and {self.spec.own_log}" if own else "")]

    def _enter(self, state: ChildState, detail: str = "", *, pid: int | None = None) -> None:
        self.status = ChildStatus(self.spec.name, state, time.time(), pid, self._restarts)
        self._on_event(ChildEvent(self.status, detail))
