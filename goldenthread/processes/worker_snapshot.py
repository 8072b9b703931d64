"""What a worker does for `goldenthread state` while it runs: copies of its open stores, in a folder of its own.

The caller names no place: copies go into the worker's folder, there is one set of them at a time, and a start removes
what a command left behind. Whoever asked moves them to where they belong.
"""

import asyncio
import shutil
from pathlib import Path
from typing import Final

import msgspec
from aiohttp import web

from connectors.web.access import Role
from connectors.web.operations import Answer, Content, Operation
from connectors.web.problems import ProblemError, ProblemKind
from connectors.web.standard import json_response
from schemas.errors import GoldenthreadError, StoreFailed
from state.snapshot import RESTORING_SUFFIX
from state.store import Store
from streams.logs import logger
from streams.store_metrics import StoreMetrics

log = logger(__name__)

SNAPSHOT_PATH: Final = "/v1/state/snapshot"
SNAPSHOT_FOLDER: Final = "snapshot"
_UNABLE: Final = ProblemKind(
    "snapshot_failed", 507, "Snapshot failed",
    "The stores could not be copied; the detail says why. Mend that, then ask again.",
)  # fmt: skip


class WorkerSnapshot(msgspec.Struct, frozen=True):
    """Where the copies are, one folder for each store, named as the store."""

    folder: str
    stores: list[str]


class WorkerSnapshots:
    """Takes the copies, one set at a time."""

    def __init__(self, worker_dir: Path, stores: StoreMetrics) -> None:
        self._folder = worker_dir.resolve() / SNAPSHOT_FOLDER
        self._stores = stores
        self._taking = asyncio.Lock()

    def forget(self) -> None:
        """Remove what commands that were cut short left behind."""
        for path in (self._folder, *self._folder.parent.glob(f"*{RESTORING_SUFFIX}")):
            shutil.rmtree(path, ignore_errors=True)

    @property
    def operation(self) -> Operation:
        """The operation, for the worker's service."""
        return Operation(
            "POST", SNAPSHOT_PATH, self._handle, "snapshotState", "Copy the open stores",
            {200: Answer("The copies are there.", (Content(WorkerSnapshot),))},
            description="Each copy is of one moment, and holds what its store held then. They stay in the worker's "
            "folder until the next are taken; `goldenthread state snapshot` makes a snapshot of them.",
            problems=(_UNABLE,), access=frozenset({Role.ADMIN}),
        )  # fmt: skip

    async def _handle(self, _request: web.Request) -> web.Response:
        async with self._taking:
            try:
                names = await asyncio.to_thread(self._take)
            except (GoldenthreadError, OSError) as error:
                log.warning("the stores could not be copied", reason=str(error))
                raise ProblemError(_UNABLE, str(error)) from error
        return json_response(WorkerSnapshot(str(self._folder), names))

    def _take(self) -> list[str]:
        shutil.rmtree(self._folder, ignore_errors=True)
        self._folder.mkdir(parents=True)
        names = []
        for store in self._stores.watched().values():
            if isinstance(store, Store):
                try:
                    store.copy_to(self._folder / store.path.name)
                except StoreFailed:
                    # Closed meanwhile: its partition went to another worker.
                    if store.failure is not None:
                        raise
                else:
                    names.append(store.path.name)
        return names
