"""Stores that nobody writes to: those of a stopped worker, or the copies that a running one makes when it is asked."""

import contextlib
import http.client
import shutil
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import msgspec

from goldenthread.processes.worker_snapshot import SNAPSHOT_PATH, WorkerSnapshot
from goldenthread.settings import Settings, revealed, variable_name
from schemas.errors import SettingError, UsageError
from schemas.strict_json import UNREADABLE
from streams.broker.directory_lock import DirectoryLock

# Copies are links, but what is in memory goes to the disk first.
_TIMEOUT_SECONDS: Final = 120.0
_ANSWER_SIZE_BYTES_MAX: Final = 1024 * 1024
# A proxy of the environment seldom reaches a loopback address.
_DIRECTLY: Final = urllib.request.build_opener(urllib.request.ProxyHandler({}))


def folder_lock(folder: Path) -> DirectoryLock:
    """The lock that a worker has on its folder; SettingError says which process that is."""
    return DirectoryLock(folder, setting=variable_name("data_dir"))


@contextlib.contextmanager
def still_stores(settings: Settings, folder: Path) -> Iterator[Path]:
    """The folder itself while its worker is stopped, held for as long as the context; else one with copies.

    Raises:
        UsageError: the worker runs, and does not answer, or does not let this command ask.
    """
    lock = folder_lock(folder)
    try:
        lock.acquire()
    except SettingError as error:
        copies = _ask_worker(settings, folder, error)
    else:
        try:
            yield folder
        finally:
            lock.release()
        return
    try:
        yield copies
    finally:
        shutil.rmtree(copies, ignore_errors=True)


def _ask_worker(settings: Settings, folder: Path, held: SettingError) -> Path:
    port = settings.worker_port + int(folder.name.rpartition("-")[2])
    url = f"http://{settings.local_host}:{port}{SNAPSHOT_PATH}"
    request = urllib.request.Request(url, data=b"", method="POST")
    if (token := revealed(settings.token)) is not None:
        request.add_unredirected_header("Authorization", f"Bearer {token}")
    try:
        with _DIRECTLY.open(request, timeout=_TIMEOUT_SECONDS) as answer:
            copies = Path(msgspec.json.decode(answer.read(_ANSWER_SIZE_BYTES_MAX), type=WorkerSnapshot).folder)
    except urllib.error.HTTPError as refusal:
        with refusal:
            detail = _detail(refusal.read(_ANSWER_SIZE_BYTES_MAX))
        raise UsageError(f"the worker at {url} answers {refusal.code}: {detail}{_advice(refusal.code)}") from refusal
    except (OSError, http.client.HTTPException, *UNREADABLE) as error:
        raise UsageError(f"{held} Nor does a worker answer at {url} ({error}).") from error
    if not copies.is_dir():
        raise UsageError(
            f"the worker's copies are in {copies}, which is not here: run this where its data directory is"
        )
    return copies


def _detail(body: bytes) -> str:
    try:
        return str(msgspec.json.decode(body, type=dict)["detail"])
    except (*UNREADABLE, KeyError):
        return "it does not say why"


def _advice(status: int) -> str:
    if status in {http.client.UNAUTHORIZED, http.client.FORBIDDEN}:
        return f" Set {variable_name('token')} to a token of the role admin."
    return ""
