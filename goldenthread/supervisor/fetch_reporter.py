"""Shows how far the fetch of Kafka is: a bar on a terminal, otherwise a line now and then."""

from types import TracebackType
from typing import Final, Self

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeElapsedColumn

from streams.broker.jars import KAFKA_VERSION, FetchProgress

# Without a terminal this many lines tell enough: more would fill the log of a build.
LINES_MAX: Final = 10
_MEGABYTE: Final = 1_000_000


class FetchReporter:
    """A progress callback for `LocalBroker`; a context manager around `prepare`. Silent if nothing is fetched."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._bar: Progress | None = None
        self._task: TaskID | None = None
        self._steps_shown = -1

    def __call__(self, progress: FetchProgress) -> None:
        """Show this progress; called from several threads, one at a time."""
        if self._console.is_terminal:
            self._draw(progress)
        else:
            self._print(progress)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._bar is not None:
            self._bar.stop()

    def _draw(self, progress: FetchProgress) -> None:
        if self._bar is None or self._task is None:
            self._bar = Progress(
                TextColumn("Fetching Kafka " + KAFKA_VERSION),
                BarColumn(),
                MofNCompleteColumn(),
                TextColumn("jars, {task.fields[received_mb]:.1f} MB"),
                TimeElapsedColumn(),
                console=self._console,
            )
            self._task = self._bar.add_task("fetch", total=progress.jars_total, received_mb=0.0)
            self._bar.start()
        self._bar.update(self._task, completed=progress.jars_done, received_mb=progress.bytes_done / _MEGABYTE)

    def _print(self, progress: FetchProgress) -> None:
        step = progress.jars_done * LINES_MAX // progress.jars_total
        if step > self._steps_shown:
            self._steps_shown = step
            self._console.print(
                f"Fetching Kafka {KAFKA_VERSION}: {progress.jars_done} of {progress.jars_total} jars, "
                f"{progress.bytes_done / _MEGABYTE:.1f} MB",
                highlight=False,
                soft_wrap=True,
            )
