"""`goldenthread drill`: an installation of its own under load and faults, and a verdict on every answer."""

import asyncio
import math
import random
import shutil
import signal
import sys
import tempfile
from contextlib import suppress
from pathlib import Path
from typing import Annotated, Final

import typer

from bench.drill.run import Drill, DrillOptions
from bench.drill.schedule import FaultKind, Timing
from bench.drill.verdict import Verdict
from goldenthread.commands.output import ERR, OUT, JsonFlag, print_json
from goldenthread.drill.installation import DrilledInstallation
from goldenthread.settings import load_settings
from goldenthread.supervisor.fetch_reporter import FetchReporter
from schemas.errors import EXIT_DONE, EXIT_PROBLEMS_FOUND, EXIT_RESTART, RestartNeeded
from streams.logs import configure_logs

DEFAULT_SECONDS: Final = 60.0
GAP_SECONDS_MIN: Final = 0.05
#: With `--kills` and no `--seconds`: enough for each kill, however slow the machine.
SECONDS_PER_KILL_MAX: Final = 20.0
#: Broker, topics and processes are there long before that, or never.
START_SECONDS_MAX: Final = 180.0
_SEEDS: Final = 1_000_000


def drill(
    *,
    seconds: Annotated[
        float | None, typer.Option(min=1, help="How long faults go on; without it 60, or as long as --kills needs.")
    ] = None,
    seed: Annotated[int | None, typer.Option(help="Of an earlier drill, to have its schedule and load again.")] = None,
    rate: Annotated[float, typer.Option(min=1, max=100_000, help="Events a second.")] = 100.0,
    kills: Annotated[int | None, typer.Option(min=1, help="End after so many kill -9.")] = None,
    only: Annotated[list[FaultKind] | None, typer.Option(help="Only faults of this kind; may be repeated.")] = None,
    gap: Annotated[
        tuple[float, float], typer.Option(help="Shortest and longest time between two faults, seconds.")
    ] = Timing().gap_seconds,
    session_timeout: Annotated[
        float, typer.Option(min=1, max=300, help="Session timeout of the drilled workers, seconds.")
    ] = Timing().session_timeout_seconds,
    keep: Annotated[bool, typer.Option("--keep", help="Keep data and logs whatever the verdict.")] = False,
    json: JsonFlag = False,
) -> None:
    """Start an installation of its own, kill and pause it at random, and say whether every answer is exact.

    It brings its own broker, data and ports, and touches no other installation.
    """
    if not GAP_SECONDS_MIN <= gap[0] <= gap[1] < math.inf:
        raise typer.BadParameter(f"two numbers from {GAP_SECONDS_MIN}, the larger one last", param_hint="--gap")
    if seconds is None:
        seconds = DEFAULT_SECONDS if kills is None else kills * SECONDS_PER_KILL_MAX
    if not all(map(math.isfinite, (seconds, rate, session_timeout))):
        raise typer.BadParameter("a number of seconds or events is wanted")
    options = DrillOptions(
        seed=random.SystemRandom().randrange(_SEEDS) if seed is None else seed,
        seconds=seconds,
        events_per_second=rate,
        kills=kills,
        kinds=tuple(only or ()),
        timing=Timing(gap_seconds=gap, session_timeout_seconds=session_timeout),
    )
    _tell(f"seed {options.seed}")
    folder = Path(tempfile.mkdtemp(prefix="goldenthread-drill-"))
    verdict: Verdict | None = None
    try:
        verdict = _drill(folder, options)
    finally:
        if verdict is not None and verdict.exact and not keep:
            shutil.rmtree(folder, ignore_errors=True)
        else:
            _tell(f"data and logs are kept in {folder}")
    if json:
        print_json(verdict.to_json())
    else:
        for line in verdict.lines():
            OUT.print(line, markup=False)
    sys.exit({"exact": EXIT_DONE, "wrong": EXIT_PROBLEMS_FOUND, "unfinished": EXIT_RESTART}[verdict.name])


def _drill(folder: Path, options: DrillOptions) -> Verdict:
    configure_logs("ERROR")
    with FetchReporter(ERR) as reporter:
        installation = DrilledInstallation(
            folder,
            load_settings(),
            session_timeout_seconds=options.timing.session_timeout_seconds,
            on_progress=reporter,
        )
        installation.prepare()
    try:
        return asyncio.run(_run(installation, options))
    finally:
        installation.close()


async def _run(installation: DrilledInstallation, options: DrillOptions) -> Verdict:
    """Start the installation, drill it, stop it.

    Raises:
        RestartNeeded: it did not start.
    """
    _tell("starting broker, workers, collect and lookup")
    running = installation.start()
    try:
        if not await _ready(installation):
            installation.stop()
            await running
            why = installation.failure or "it was interrupted, or not ready in time"
            raise RestartNeeded(f"the drill could not begin: {why}")
        drill = Drill(installation, options, _tell)
        asyncio.get_running_loop().add_signal_handler(signal.SIGINT, _interrupt, drill, installation)
        drilling = asyncio.create_task(drill.run())
        await asyncio.wait({drilling, running}, return_when=asyncio.FIRST_COMPLETED)
        if drilling.done():
            return drilling.result()
        drilling.cancel()
        await asyncio.wait({drilling})
        failure = installation.failure
        return drill.verdict(
            None,
            "it was ended early" if failure is None else f"a process gave up: {failure}",
            failed=failure is not None,
        )
    finally:
        await installation.leave()
        installation.stop()
        await running


async def _ready(installation: DrilledInstallation) -> bool:
    with suppress(TimeoutError):
        async with asyncio.timeout(START_SECONDS_MAX):
            return await installation.ready()
    return False


def _interrupt(drill: Drill, installation: DrilledInstallation) -> None:
    """The first Ctrl-C ends the faults, the second one ends everything."""
    if drill.stopped:
        installation.stop()
    else:
        _tell("no more faults; the verdict comes once all is there. Ctrl-C again ends everything now")
        drill.stop()


def _tell(line: str) -> None:
    ERR.print(line, markup=False)
