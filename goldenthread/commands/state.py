"""`state verify|rebuild|snapshot|restore`: the local stores, which are copies of topics."""

import contextlib
import shutil
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import typer
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

from goldenthread.commands.output import ERR, OUT, JsonFlag, print_json
from goldenthread.commands.tables import shown, table
from goldenthread.parts import Parts, make_parts
from goldenthread.secret import keyring
from goldenthread.settings import load_settings
from schemas.errors import EXIT_PROBLEMS_FOUND
from streams.logs import configure_logs

if TYPE_CHECKING:
    from goldenthread.snapshots import Snapshots
    from state.snapshot import SnapshotPosition
    from streams.store_verification import ExpectedStore, StoreVerdict, Verification

# RocksDB, Kafka's topics and the agents are loaded by the commands that need them: all others start faster by it.

# A deep comparison writes here, in the data directory, and removes it.
_SCRATCH: Final = "verify-scratch"

state = typer.Typer(no_args_is_help=True, help="Look after the local stores, and go on over gaps.")

StoreNames = Annotated[
    list[str] | None, typer.Argument(metavar="[STORE]...", help="Such as context-3; all by default.")
]


@state.command()
def verify(
    stores: StoreNames = None,
    deep: Annotated[bool, typer.Option("--deep", help="Compare every row with its topic, too.")] = False,
    json: JsonFlag = False,
) -> None:
    """Verify the stores here: files, checksums, format, secret, and their topics. Exit 1 if one is not as it should be.

    It changes nothing. A worker that runs is asked for copies of its stores, which needs a token of the role admin
    where keys are configured; the store of a running lookup is left out.
    """
    from goldenthread.local_broker import answering_broker

    parts = _parts()
    with answering_broker(parts.settings), contextlib.ExitStack() as stack:
        scratch = stack.enter_context(_scratch(parts)) if deep else None
        verdicts = _verify(parts, stores or [], _verification(parts, scratch), stack)
    if json:
        print_json(verdicts)
    else:
        columns = ("store", "state", "rows", "behind", "compared", "detail")
        OUT.print(table(columns, [[getattr(one, column) for column in columns] for one in verdicts]))
        for one in verdicts:
            if one.action:
                OUT.print(shown(f"{one.path}: {one.action}"))
    if not verdicts:
        ERR.print(f"There are no stores in {parts.settings.data_dir}.")
    if not all(one.sound for one in verdicts):
        sys.exit(EXIT_PROBLEMS_FOUND)


@state.command()
def rebuild(
    stores: StoreNames = None,
    discard: Annotated[
        bool, typer.Option("--discard", help="Even where a topic has less than its store: give up the rest.")
    ] = False,
    json: JsonFlag = False,
) -> None:
    """Make stores anew from their topics, now. Their processes have to be stopped.

    A store whose topic has less than it is left alone, as it may be the last copy there is; with --discard it is set
    aside beside the new one.
    """
    from goldenthread.local_broker import answering_broker
    from goldenthread.rebuilding import Rebuilding
    from goldenthread.still_stores import folder_lock
    from goldenthread.stores import named, worker_folders
    from state.store_cache import shared_cache

    parts = _parts()
    wanted = named(stores or [], _all_stores(parts))
    rebuilding = Rebuilding.of(parts, shared_cache(parts.settings.store_cache_size_bytes))
    read: dict[str, int | None] = {}
    columns = (TextColumn("{task.description}"), BarColumn(), TextColumn("{task.fields[left]:,} left"))
    with answering_broker(parts.settings), contextlib.ExitStack() as stack:
        for folder in worker_folders(parts.settings):
            if any(store.path.parent == folder for store in wanted):
                stack.enter_context(folder_lock(folder))
        progress = stack.enter_context(
            Progress(*columns, TimeRemainingColumn(), console=ERR, disable=not ERR.is_terminal)
        )
        for store in wanted:
            told = _teller(progress, store.name)
            read[str(store.path)] = rebuilding.rebuild(store, told, discard=discard)
    if json:
        print_json([{"path": path, "records": records} for path, records in read.items()])
        return
    for path, records in read.items():
        done = "removed; its process reads it anew at its start" if records is None else f"{records:,} records read"
        OUT.print(shown(f"{path}: {done}"))


@state.command()
def snapshot(
    folder: Annotated[Path, typer.Argument(help="Where it goes; made by this command.")], json: JsonFlag = False
) -> None:
    """Make a snapshot of the workers' stores, with their offsets and the checksums of all files.

    A worker that runs goes on meanwhile; where keys are configured, it wants a token of the role admin.
    """
    parts = _parts()
    manifest = _snapshots(parts).take(folder)
    if json:
        print_json(manifest)
        return
    rows = [
        (store.name, store.rows, sum(file.size_bytes for file in store.files), _offsets(store.positions))
        for store in manifest.stores
    ]
    OUT.print(table(("store", "rows", "bytes", "next offsets"), rows))
    OUT.print(shown(f"{folder}: {len(manifest.stores)} stores, taken {manifest.taken}"))


@state.command()
def restore(
    folder: Annotated[Path, typer.Argument(help="A folder that `state snapshot` made.")],
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Even stores that are ahead of the snapshot; they are set aside.")
    ] = False,
    json: JsonFlag = False,
) -> None:
    """Put a snapshot's stores into the folder of a worker that is stopped: at its start it reads the rest only.

    Stores here that have read as much as the snapshot's, or more, are kept.
    """
    from goldenthread.local_broker import answering_broker

    parts = _parts()
    with answering_broker(parts.settings):
        outcomes = _snapshots(parts).restore(folder, _verification(parts, None), overwrite=overwrite)
    if json:
        print_json(outcomes)
        return
    columns = ("store", "outcome", "behind")
    OUT.print(table(columns, [[getattr(one, column) for column in columns] for one in outcomes]))


def _teller(progress: Progress, name: str) -> Callable[[int], None]:
    bar = progress.add_task(name, total=None, left=0)
    first: int | None = None

    def tell(left: int) -> None:
        nonlocal first
        first = left if first is None else first
        progress.update(bar, total=first, completed=first - left, left=left)

    return tell


def _offsets(positions: "list[SnapshotPosition]") -> str:
    return ", ".join(f"{one.topic}/{one.partition} {one.next_offset}" for one in positions)


def _parts() -> Parts:
    settings = load_settings()
    configure_logs("WARNING")
    return make_parts(settings, "state", keyring(settings))


def _all_stores(parts: Parts) -> "list[ExpectedStore]":
    from goldenthread.stores import stores_in, worker_folders

    folders = [*worker_folders(parts.settings), parts.settings.data_dir]
    return [store for folder in folders for store in stores_in(parts.catalogue, folder)]


def _verification(parts: Parts, scratch: Path | None) -> "Verification":
    from goldenthread.stores import known_topics
    from state.store_cache import shared_cache
    from streams.store_verification import Verification
    from streams.topics import topic_ids

    return Verification(
        parts.kafka,
        topic_ids(parts.kafka, known_topics(parts.catalogue)),
        parts.keyring.fingerprint,
        shared_cache(parts.settings.store_cache_size_bytes),
        scratch,
    )


def _verify(
    parts: Parts, names: list[str], verification: "Verification", stack: contextlib.ExitStack
) -> "list[StoreVerdict]":
    from goldenthread.still_stores import still_stores
    from goldenthread.stores import named
    from state.store_folder import holder

    verdicts = []
    folders: dict[Path, Path] = {}
    for store in named(names, _all_stores(parts)):
        folder = store.path.parent
        if folder == parts.settings.data_dir:
            process = holder(store.path)
            verdicts.append(verification.verify(store) if process is None else verification.in_use(store, process))
            continue
        if folder not in folders:
            folders[folder] = stack.enter_context(still_stores(parts.settings, folder))
        still = folders[folder] / store.name
        # A running worker has copies of what it has open; the rest nobody writes to.
        verdicts.append(verification.verify(store, still if still.is_dir() else store.path))
    return verdicts


def _snapshots(parts: Parts) -> "Snapshots":
    from goldenthread.snapshots import Snapshots
    from state.store_cache import shared_cache

    cache = shared_cache(parts.settings.store_cache_size_bytes)
    return Snapshots(parts.settings, parts.catalogue, parts.keyring.fingerprint, cache)


@contextlib.contextmanager
def _scratch(parts: Parts) -> Iterator[Path]:
    folder = parts.settings.data_dir / _SCRATCH
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)
