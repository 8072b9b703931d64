"""Runs children in the order of their needs, and stops all of them when it is asked to or when one can't go on."""

import asyncio
import random
import signal
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final

from goldenthread.supervisor.child import Child
from goldenthread.supervisor.child_log import ChildLog
from goldenthread.supervisor.child_spec import ChildEvent, ChildSpec, ChildStatus, Failure, RestartPolicy
from schemas.errors import EXIT_DONE, EXIT_OPERATOR, EXIT_RESTART

STOP_SIGNALS: Final = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class Supervisor:
    """One set of children, run once.

    Run it in the main thread: children are tied to the thread that starts them.
    """

    def __init__(
        self,
        specs: Sequence[ChildSpec],
        *,
        log_dir: Path,
        policy: RestartPolicy | None = None,
        on_event: Callable[[ChildEvent], None] = lambda _event: None,
        dice: random.Random | None = None,
    ) -> None:
        """Take the children in the order of their start; each may need earlier ones only.

        Raises:
            ValueError: two have one name, or one needs a child that does not stand before it.
        """
        self.failure: Failure | None = None
        self._stopping = asyncio.Event()
        self._hurry = asyncio.Event()
        self._logs: list[ChildLog] = []
        self._children: dict[str, Child] = {}
        for spec in specs:
            if spec.name in self._children:
                raise ValueError(f"Two children are called {spec.name}.")
            if unknown := [name for name in spec.needs if name not in self._children]:
                raise ValueError(f"{spec.name} needs {', '.join(unknown)}, which no child before it is called.")
            log = ChildLog(log_dir / f"{spec.name}.log")
            self._logs.append(log)
            self._children[spec.name] = Child(
                spec,
                needs=self._with_their_needs(spec.needs),
                log=log,
                policy=policy or RestartPolicy(),
                hurry=self._hurry,
                on_event=on_event,
                dice=dice or random.Random(),
            )

    def status(self) -> list[ChildStatus]:
        """Every child as it is now, in the order of their start."""
        return [child.status for child in self._children.values()]

    def request_stop(self) -> None:
        """Stop all children, the last first; asked a second time, kill them without waiting."""
        if self._stopping.is_set():
            self._hurry.set()
        self._stopping.set()

    async def wait_ready(self) -> bool:
        """Wait until every child is ready or done; False when the supervisor stops before that."""
        ready = asyncio.ensure_future(self._all_available())
        stopping = asyncio.ensure_future(self._stopping.wait())
        try:
            await asyncio.wait((ready, stopping), return_when=asyncio.FIRST_COMPLETED)
            return ready.done() and not stopping.done()
        finally:
            ready.cancel()
            stopping.cancel()

    async def run(self) -> int:
        """Run until a signal, `request_stop`, a failure, or the end of the last one-shot.

        1. Take the signals. 2. Start all children; each waits for what it needs. 3. Wait. 4. Stop in reverse order.

        Returns:
            The exit code: 0 after a wanted stop, 4 when a child needs an operator, otherwise 3. `failure` says why.
        """
        loop = asyncio.get_running_loop()
        # 1. Take the signals.
        for number in STOP_SIGNALS:
            loop.add_signal_handler(number, self.request_stop)
        # 2. Start all children.
        tasks = {name: asyncio.create_task(child.run(), name=name) for name, child in self._children.items()}
        try:
            # 3. Wait.
            await self._wait_for_reason(set(tasks.values()))
        finally:
            # 4. Stop in reverse order.
            self._stopping.set()
            await self._stop_all(tasks)
            for number in STOP_SIGNALS:
                loop.remove_signal_handler(number)
            for log in self._logs:
                log.close()
        if self.failure is None:
            return EXIT_DONE
        return EXIT_OPERATOR if self.failure.exit_code == EXIT_OPERATOR else EXIT_RESTART

    def _with_their_needs(self, names: Sequence[str]) -> list[Child]:
        """These children after all that they need themselves: a worker that needs `init` needs the broker too."""
        needs: dict[Child, None] = {}
        for name in names:
            child = self._children[name]
            needs |= dict.fromkeys((*child.needs, child))
        return list(needs)

    async def _all_available(self) -> None:
        for child in self._children.values():
            await child.available.wait()

    async def _wait_for_reason(self, running: set[asyncio.Task[Failure | None]]) -> None:
        """Wait until somebody wants a stop, a child fails, or every child is done."""
        stopping = asyncio.ensure_future(self._stopping.wait())
        try:
            while running and not stopping.done() and self.failure is None:
                finished, _ = await asyncio.wait((*running, stopping), return_when=asyncio.FIRST_COMPLETED)
                for task in running & finished:
                    running.discard(task)
                    # An exception here is a mistake in the program: it stops everything and is raised.
                    self.failure = self.failure or task.result()
        finally:
            stopping.cancel()

    async def _stop_all(self, tasks: dict[str, asyncio.Task[Failure | None]]) -> None:
        for child in self._children.values():
            child.retire()
        for task in reversed(tasks.values()):
            task.cancel()
            # Errors of one child must not keep the others from being stopped; `_wait_for_reason` raised the first.
            await asyncio.wait([task])
