"""How every long-running process of ours starts and ends: signals, logs, the exit code, and no lingering at the end."""

import asyncio
import gc
import os
import signal
import sys
import traceback
from collections.abc import Awaitable, Callable
from typing import Final, NoReturn

from schemas.errors import EXIT_DONE, EXIT_OPERATOR, EXIT_RESTART, GoldenthreadError
from streams.logs import logger

log = logger(__name__)

# An orderly end takes this long at the most; then the process goes as it is, which loses nothing.
STOP_TIMEOUT_SECONDS: Final = 25.0
# Most objects of a process live as long as it does; fewer collections of the young ones then cost less.
_GC_THRESHOLDS: Final = (50_000, 20, 50)


def run_process(name: str, main: Callable[[asyncio.Event], Awaitable[None]]) -> NoReturn:
    """Run until SIGTERM or SIGINT, or until `main` ends or fails; leaves with the exit code of what happened.

    The process goes by `_exit`, once its logs are out: threads of libraries that hang can't keep it.
    """
    code = asyncio.run(_supervised(name, main))
    log.info("process ends", process=name, exit_code=code)
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)


async def _supervised(name: str, main: Callable[[asyncio.Event], Awaitable[None]]) -> int:
    stopping = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stopping.set)
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
        return EXIT_RESTART
    return _code(name, running.exception())


def _code(name: str, error: BaseException | None) -> int:
    if error is None:
        return EXIT_DONE
    if isinstance(error, GoldenthreadError):
        kind = "an operator is needed" if error.exit_code == EXIT_OPERATOR else "the process can't go on"
        log.error(kind, process=name, error=type(error).__name__, reason=str(error))
        # The supervisor shows the last line of this stream as the reason.
        sys.stderr.write(f"{type(error).__name__}: {error}\n")
        return error.exit_code
    log.error("the process failed", process=name, exc_info=error)
    sys.stderr.write("".join(traceback.format_exception_only(error)))
    return EXIT_RESTART
