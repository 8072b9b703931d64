"""Import of a file: rows become CloudEvents on the raw topics, bad ones go to `dead`, and a broken run goes on.

For each batch of rows:
1. read and map them; check each as intake will; those that the mapping leaves out are counted;
2. produce the events to `raw.<channel>`, the bad rows to `dead` with their bytes and reasons;
3. wait until the broker has acknowledged all;
4. write the progress file, and tell whoever watches.
A run that ends between 3 and 4 repeats a batch; an event that comes twice counts once, so nothing is doubled. A
finished run removes its progress file: the same file can be imported again, which changes nothing either.
"""

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import msgspec

from connectors.collect.files_events import EVENT_LINES, RowEvents, kept_headers
from connectors.collect.files_progress import Progress, ProgressFile
from connectors.collect.files_rows import FileRow, FileRows
from connectors.collect.setting_aside import set_aside
from schemas.cleaning import Cleaner
from schemas.clock import Clock
from schemas.errors import DeadCode, EventError, SettingError, UsageError
from schemas.mapping import Mapping
from schemas.topics import Catalogue
from streams.producer import RecordProducer

STAGE: Final = "import"
# A batch is what a broken run repeats, and how often the progress bar moves.
BATCH_ROWS_MAX: Final = 2_000
BATCH_SIZE_BYTES_MAX: Final = 4 * 1024 * 1024
# Beyond a delivery's own time limit, after which the producer has failed it.
FLUSH_TIMEOUT_SECONDS: Final = 60.0
#: The rows that the result names; `dead` has them all.
PROBLEMS_SHOWN_MAX: Final = 100


class BadRow(msgspec.Struct, frozen=True):
    """A row that went to `dead`."""

    line: int
    code: DeadCode
    message: str
    #: Into the event that the row was mapped to.
    pointer: str


class ImportProgress(msgspec.Struct, frozen=True):
    """What a progress bar shows; counts include those of the interrupted runs before."""

    rows: int
    accepted: int
    dead: int
    done_bytes: int
    total_bytes: int


class ImportResult(msgspec.Struct, frozen=True):
    """What an import came to; counts include those of the interrupted runs before."""

    rows: int
    accepted: int
    dead: int
    #: Rows that the mapping leaves out on purpose.
    skipped: int
    #: Rows that an interrupted run had brought already.
    resumed_rows: int
    #: Of this run alone.
    seconds: float
    #: The first PROBLEMS_SHOWN_MAX bad rows of this run.
    problems: tuple[BadRow, ...]


class Destination(msgspec.Struct, frozen=True):
    """Where events go and how they are judged."""

    producer: RecordProducer
    catalogue: Catalogue
    #: Judges each event as intake will, so that a bad row is told with its line, now.
    cleaner: Cleaner
    clock: Clock
    #: The channel of events that name none and whose source has none.
    channel: str | None = None


def import_file(
    path: Path,
    *,
    mapping: Mapping | None,
    destination: Destination,
    progress_folder: Path,
    restart: bool = False,
    on_progress: Callable[[ImportProgress], None] | None = None,
    on_bad_row: Callable[[BadRow], None] | None = None,
) -> ImportResult:
    """Import a CSV or JSONL file; blocks until the broker has all of it.

    Args:
        path: The file. It is not to change meanwhile.
        mapping: How its rows become events; None for JSONL whose lines are CloudEvents.
        destination: Producer, topics and checks.
        progress_folder: Keeps how far an interrupted import came; made when missing.
        restart: Start at the first row even where an interrupted import could go on.
        on_progress: Called before the first and after each acknowledged batch.
        on_bad_row: Called for each bad row once it is in `dead`.

    Raises:
        UsageError: there is no such file.
        SettingError: the file does not fit the mapping: its header, its encoding; or the mapping takes no time from it.
        DeliveryFailed: the broker did not take something; run it again to go on.
    """
    channels = destination.catalogue.channels
    if destination.channel is not None and destination.channel not in channels:
        raise SettingError(f"channel {destination.channel!r} is none of {', '.join(channels)}")
    if mapping is not None and mapping.leaves_out_time:
        raise SettingError(
            f"the mapping of {mapping.source} leaves out event.time, and a file's rows have no other time"
        )
    started = time.monotonic()
    try:
        run = _Import(path, mapping, destination, ProgressFile(progress_folder, path, *_identity(mapping, destination)))
        run.read_all(restart, on_progress or _ignore, on_bad_row or _ignore)
    except OSError as error:
        raise UsageError(f"{path}: {error.strerror or error}") from error
    return ImportResult(
        run.progress.rows,
        run.progress.accepted,
        run.progress.dead,
        run.progress.skipped,
        run.resumed_rows,
        time.monotonic() - started,
        tuple(run.problems),
    )


class _Import:
    """One run of an import."""

    def __init__(self, path: Path, mapping: Mapping | None, destination: Destination, file: ProgressFile) -> None:
        self._path = path
        self._mapping = mapping
        self._to = destination
        self._file = file
        self._events = RowEvents(
            mapping,
            catalogue=destination.catalogue,
            cleaner=destination.cleaner,
            clock=destination.clock,
            channel=destination.channel,
        )
        self._rows = FileRows(path, EVENT_LINES)
        self.progress = Progress()
        self.resumed_rows = 0
        self.problems: list[BadRow] = []
        self._bad_rows: list[BadRow] = []
        self._accepted = 0
        self._skipped = 0

    def read_all(
        self, restart: bool, on_progress: Callable[[ImportProgress], None], on_bad_row: Callable[[BadRow], None]
    ) -> None:
        """All rows from where the last run stopped."""
        if restart:
            self._file.remove()
        self.progress = self._file.read()
        self.resumed_rows = self.progress.rows
        total_bytes = self._path.stat().st_size
        layout = self._mapping.input if self._mapping else EVENT_LINES
        required = self._mapping.columns if self._mapping else frozenset()
        on_progress(self._shown(total_bytes))
        size_bytes = 0
        row: FileRow | None = None
        self._rows = FileRows(self._path, layout, self.progress.place)
        for row in self._rows.read(required):
            self._take(row)
            size_bytes += len(row.raw)
            if (
                self._accepted + self._skipped + len(self._bad_rows) >= BATCH_ROWS_MAX
                or size_bytes >= BATCH_SIZE_BYTES_MAX
            ):
                self._commit(row, on_bad_row)
                on_progress(self._shown(total_bytes))
                size_bytes = 0
        if row is not None:
            self._commit(row, on_bad_row)
            on_progress(self._shown(total_bytes))
        self._file.remove()

    def _take(self, row: FileRow) -> None:
        try:
            parts = self._events.parts(row)
        except EventError as error:
            self._set_aside(row, error)
            return
        for part in parts:
            self._take_part(row, part)

    def _take_part(self, row: FileRow, part: Any) -> None:
        # 1. Map and check.
        try:
            record = self._events.event(part)
        except EventError as error:
            self._set_aside(row, error)
            return
        if record is None:
            self._skipped += 1
            return
        # 2. The event to its channel's raw topic ...
        self._to.producer.produce(record)
        self._accepted += 1

    def _set_aside(self, row: FileRow, error: EventError) -> None:
        # ... the bad row to `dead`.
        self._bad_rows.append(BadRow(row.line, error.code, error.message, error.pointer))
        headers = kept_headers(self._rows.head, self._to.channel, self._mapping)
        origin = f"{STAGE}:{self._path.name}"
        self._to.producer.produce(
            set_aside(
                self._to.catalogue, error, stage=STAGE, original=row.raw, origin=origin, line=row.line, headers=headers
            )
        )

    def _commit(self, last: FileRow, on_bad_row: Callable[[BadRow], None]) -> None:
        # 3. Acknowledged.
        self._to.producer.flush(FLUSH_TIMEOUT_SECONDS)
        # 4. Remembered and told.
        former = self.progress
        self.progress = Progress(
            offset=last.end.offset,
            lines=last.end.lines,
            rows=former.rows + self._accepted + self._skipped + len(self._bad_rows),
            accepted=former.accepted + self._accepted,
            dead=former.dead + len(self._bad_rows),
            skipped=former.skipped + self._skipped,
        )
        self._file.write(self.progress)
        self.problems += self._bad_rows[: PROBLEMS_SHOWN_MAX - len(self.problems)]
        bad_rows, self._bad_rows, self._accepted, self._skipped = self._bad_rows, [], 0, 0
        for bad_row in bad_rows:
            on_bad_row(bad_row)

    def _shown(self, total_bytes: int) -> ImportProgress:
        done = self.progress
        return ImportProgress(done.rows, done.accepted, done.dead, done.offset, total_bytes)


def _identity(mapping: Mapping | None, destination: Destination) -> tuple[str, str]:
    """What, besides the file, makes it another import."""
    return (mapping.fingerprint if mapping else "", destination.catalogue.prefix)


def _ignore(_told: object) -> None:
    """Nobody watches."""
