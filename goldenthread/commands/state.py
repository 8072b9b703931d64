"""`state verify|rebuild|snapshot|restore`: the local stores, which are copies of topics."""

import contextlib
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Final

import typer

from goldenthread.commands.output import ERR, OUT, JsonFlag, print_json
from goldenthread.commands.tables import shown, table
from goldenthread.parts import catalogue_of, kafka_of
from goldenthread.secret import keyring
from goldenthread.settings import Settings, load_settings, variable_name
from schemas.errors import EXIT_PROBLEMS_FOUND
from streams.broker.directory_lock import DirectoryLock
from streams.logs import configure_logs

BROKER_WAIT_SECONDS: Final = 10.0
# A deep comparison writes here, in the data directory, and removes it.
_SCRATCH: Final = "verify-scratch"

state = typer.Typer(no_args_is_help=True, help="Verify, rebuild, snapshot and restore the local stores.")

StoreNames = Annotated[
    list[str] | None, typer.Argument(metavar="[STORE]...", help="Such as context-3; all by default.")
]


@state.command()
def verify(
    stores: StoreNames = None,
    deep: Annotated[bool, typer.Option("--deep", help="Compare every row with its topic, too.")] = False,
    json: JsonFlag = False,
) -> None:
    """Verify the stores of this data directory: files, checksums, format, secret, and their topics. Changes nothing."""
    # RocksDB is loaded where stores are worked with, and by no other command.
    from goldenthread.stores import named, stores_in, worker_folders
    from state.store_cache import shared_cache
    from streams.store_verification import Verification
    from streams.topics import topic_ids, wait_for_broker

    settings = load_settings()
    configure_logs("WARNING")
    catalogue, kafka = catalogue_of(settings), kafka_of(settings, "state")
    fingerprint = keyring(settings).fingerprint
    folders = worker_folders(settings)
    wanted = named(stores or [], [store for folder in folders for store in stores_in(catalogue, folder)])
    wait_for_broker(kafka, BROKER_WAIT_SECONDS)
    with contextlib.ExitStack() as stack:
        for folder in folders:
            stack.enter_context(DirectoryLock(folder, setting=variable_name("data_dir")))
        verification = Verification(
            kafka,
            topic_ids(kafka, sorted({topic for store in wanted for topic, _ in store.topics})),
            fingerprint,
            shared_cache(settings.store_cache_size_bytes),
            stack.enter_context(_scratch(settings)) if deep else None,
        )
        verdicts = [verification.verify(store) for store in wanted]
    if json:
        print_json(verdicts)
    else:
        columns = ("store", "state", "rows", "behind", "compared", "detail")
        OUT.print(table(columns, [[getattr(one, column) for column in columns] for one in verdicts]))
        for one in verdicts:
            if not one.sound:
                OUT.print(shown(f"{one.store}: {one.action}"))
    if not all(one.sound for one in verdicts):
        sys.exit(EXIT_PROBLEMS_FOUND)
    if not verdicts:
        ERR.print(f"There are no stores in {settings.data_dir}.")


@contextlib.contextmanager
def _scratch(settings: Settings) -> Iterator[Path]:
    folder = settings.data_dir / _SCRATCH
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)
