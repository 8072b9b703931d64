"""How every long-running process of ours starts and ends: signals, logs, the exit code, and no lingering at the end."""

import asyncio
import gc
import os
import signal
import sys
import threading
import time
from collections.abc import Awaitable, Callable
from typing import Final, NoReturn

from goldenthread.processes.native_memory import bound_native_memory
from schemas.errors import EXIT_DONE, EXIT_OPERATOR, EXIT_RESTART, GoldenthreadError
from streams.logs import logger

log = logger(__name__)

# An orderly end takes this long at the most; then the process goes as it is, which loses nothing.
STOP_TIMEOUT_SECONDS: Final = 25.0
# Who is told to end and does not even notice, since its event loop is blocked, is ended so much later.
FORCE_GRACE_SECONDS: Final = 2.0
_STOP_SIGNALS: Final = (signal.SIGTERM, signal.SIGINT)
# Most objects of a process live as long as it does; fewer collections of the young ones then cost less.
_GC_THRESHOLDS: Final = (50_000, 20, 50)


def run_process(name: str, main: Callable[[asyncio.Event], Awaitable[None]]) -> NoReturn:
    """Run until SIGTERM or SIGINT, or until `main` ends or fails; leaves with the exit code of what happened.

    The process goes by `_exit`, once its logs are out: threads of libraries that hang can't keep it.
    """
    bound_native_memory()
    asyncio.run(_supervised(name, main))
    raise AssertionError("the process has ended by itself")


async def _supervised(name: str, main: Callable[[asyncio.Event], Awaitable[None]]) -> NoReturn:
    stopping = asyncio.Event()
    _listen(name, stopping)
    gc.set_threshold(*_GC_THRESHOLDS)
    gc.freeze()
    running = asyncio.ensure_future(main(stopping))
    told = asyncio.create_task(stopping.wait())
    await asyncio.wait({running, told}, return_when=asyncio.FIRST_COMPLETED)
    if not running.done():
        await asyncio.wait({running}, timeout=STOP_TIMEOUT_SECONDS)
    told.cancel()
    if not running.done():
        log.error("the end took too long, leaving as it is", process=name, seconds=STOP_TIMEOUT_SECONDS)
        # What was not committed is read again; but whoever waits should know that it was no clean end.
        _leave(name, EXIT_RESTART, "the end took too long")
    _leave(name, *_verdict(name, running.exception()))


def _listen(name: str, stopping: asyncio.Event) -> None:
    """Take SIGTERM and SIGINT in a thread of its own, which bounds the end even where the event loop is blocked.

    Python runs handlers of signals in the main thread only, between two steps of its own; the number of a signal is
    written to the wake-up descriptor at once.
    """
    loop = asyncio.get_running_loop()
    reading, writing = os.pipe()
    os.set_blocking(writing, False)

    def wait_for_signal() -> None:
        while os.read(reading, 1)[0] not in _STOP_SIGNALS:
            continue
        loop.call_soon_threadsafe(stopping.set)
        end_within(STOP_TIMEOUT_SECONDS + FORCE_GRACE_SECONDS, f"{name} was told to stop and did not")

    signal.set_wakeup_fd(writing, warn_on_full_buffer=False)
    for number in _STOP_SIGNALS:
        # Whatever the handler does: that there is one keeps the signal from doing what it does by default.
        signal.signal(number, _do_nothing)
    threading.Thread(target=wait_for_signal, name="signals", daemon=True).start()


def _do_nothing(_number: int, _frame: object) -> None:
    """See `_listen`."""


def end_within(seconds: float, reason: str) -> None:
    """Wait for so long in this thread, then end the process, if it is still there, with the code for a restart.

    It touches neither logs nor streams, whose locks may be held by whoever is stuck.
    """
    time.sleep(seconds)
    os.write(sys.__stderr__.fileno() if sys.__stderr__ else 2, f"RestartNeeded: {reason}\n".encode())
    os._exit(EXIT_RESTART)


def _leave(name: str, code: int, reason: str) -> NoReturn:
    """End right here: the event loop's own end would wait for threads that may hang in a library for minutes."""
    log.info("process ends", process=name, exit_code=code)
    if reason:
        # The last line of this stream is what a supervisor shows as the reason.
        sys.stderr.write(f"{reason}\n")
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)


def _verdict(name: str, error: BaseException | None) -> tuple[int, str]:
    """The exit code, and the reason in a line."""
    if error is None:
        return EXIT_DONE, ""
    if isinstance(error, GoldenthreadError):
        kind = "an operator is needed" if error.exit_code == EXIT_OPERATOR else "the process can't go on"
        log.error(kind, process=name, error=type(error).__name__, reason=str(error))
        return error.exit_code, f"{type(error).__name__}: {error}"
    log.error("the process failed", process=name, exc_info=error)
    # Its text may hold what somebody sent; the log has it, redacted.
    return EXIT_RESTART, f"{type(error).__name__}, see the log"
