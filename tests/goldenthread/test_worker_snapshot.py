"""Goal: a running worker copies its open stores for those who may ask, and keeps nothing of it for long."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from connectors.web.access import Access, AccessKey, Role
from connectors.web.server import listening
from connectors.web.service import make_service
from connectors.web.standard import ReadyReport
from goldenthread.processes.worker_snapshot import SNAPSHOT_PATH, WorkerSnapshots
from schemas.credentials import digest_of
from schemas.errors import DiskRefused
from state.store import Store, StoredPosition
from streams.metrics import Metrics

FINGERPRINT = "f"
POSITION = StoredPosition("id", 7)


@pytest.fixture
def metrics() -> Metrics:
    return Metrics("worker", "1")


@pytest.fixture
def store(tmp_path: Path, metrics: Metrics) -> Any:
    made = Store.open(tmp_path / "context-0", secret_fingerprint=FINGERPRINT)
    made.write({b"a": b"1"}, {("t", 0): POSITION})
    metrics.stores.watch("context-0", made)
    yield made
    made.close()


def _token(role: Role) -> str:
    return f"a-token-of-the-role-{role}"


@asynccontextmanager
async def _asking(folder: Path, metrics: Metrics) -> AsyncIterator[Any]:
    """Asks a service for copies, with the token of a role; status and answer."""
    snapshots = WorkerSnapshots(folder, metrics.stores)
    keys = [
        AccessKey(name=role, roles=frozenset({role}), digest=digest_of(_token(role)))
        for role in (Role.ADMIN, Role.METRICS)
    ]
    service = make_service(
        "worker", (snapshots.operation,), description="A test.", metrics=metrics, version="1", ready=ReadyReport,
        access=Access(keys, role=Role.METRICS),
    )  # fmt: skip
    async with listening(service, "127.0.0.1", 0) as (host, port), aiohttp.ClientSession() as session:

        async def ask(role: Role) -> tuple[int, Any]:
            headers = {"Authorization": f"Bearer {_token(role)}"}
            async with session.post(f"http://{host}:{port}{SNAPSHOT_PATH}", headers=headers) as answer:
                return answer.status, await answer.json(content_type=None)

        yield ask


async def test_copies_are_of_one_moment_and_those_of_before_go(tmp_path: Path, metrics: Metrics, store: Store) -> None:
    async with _asking(tmp_path, metrics) as ask:
        for value in (b"1", b"2"):
            # What was never put on disk has to be in the copy, too.
            store.write({b"a": value}, {("t", 0): POSITION})
            status, answer = await ask(Role.ADMIN)
            assert (status, answer) == (200, {"folder": str(tmp_path / "snapshot"), "stores": ["context-0"]})
            store.write({b"a": b"later"}, {})
            copy = Store.open_to_read(tmp_path / "snapshot" / "context-0", secret_fingerprint=FINGERPRINT)
            assert (dict(copy.rows()), copy.positions()) == ({b"a": value}, {("t", 0): POSITION})
            copy.close()


async def test_only_an_admin_may_ask(tmp_path: Path, metrics: Metrics, store: Store) -> None:
    async with _asking(tmp_path, metrics) as ask:
        assert (await ask(Role.METRICS))[0] == 403
    assert store.path.exists()
    assert not (tmp_path / "snapshot").exists()


async def test_a_store_that_was_closed_meanwhile_is_left_out(tmp_path: Path, metrics: Metrics, store: Store) -> None:
    store.close()
    async with _asking(tmp_path, metrics) as ask:
        assert (await ask(Role.ADMIN))[1]["stores"] == []


@pytest.mark.usefixtures("store")
async def test_a_full_disk_is_told(tmp_path: Path, metrics: Metrics, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(self: Store, _path: Path) -> None:
        self.failure = DiskRefused("make room there")
        raise self.failure

    monkeypatch.setattr(Store, "copy_to", refuse)
    async with _asking(tmp_path, metrics) as ask:
        status, answer = await ask(Role.ADMIN)
    assert (status, answer["code"], answer["detail"]) == (507, "snapshot_failed", "make room there")


def test_a_start_removes_what_commands_left_behind(tmp_path: Path, metrics: Metrics, store: Store) -> None:
    (tmp_path / "snapshot" / "context-0").mkdir(parents=True)
    (tmp_path / "context-1.restoring").mkdir()
    WorkerSnapshots(tmp_path, metrics.stores).forget()
    assert [path.name for path in tmp_path.iterdir()] == [store.path.name]
