"""A worker's stores, damaged and lost in earnest: contexts stay exact, and a snapshot spares the changelog."""

import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from bench.generator import Plan, generate
from schemas.topics import DEFAULT_CHANNELS, Topic
from streams.bulk import read_all
from tests.end_to_end.conftest import SystemMaker
from tests.end_to_end.lone_worker import LoneWorker
from tests.waiting import wait_until

pytestmark = [pytest.mark.kafka, pytest.mark.timeout(300)]
PARTITIONS = 2


@pytest.fixture
def worker(make_system: SystemMaker) -> Iterator[LoneWorker]:
    system = make_system("state", GOLDENTHREAD_PARTITIONS=str(PARTITIONS))
    with LoneWorker(system, DEFAULT_CHANNELS, PARTITIONS) as made:
        yield made


def _damage(folder: Path) -> None:
    """Flip bits all over the rows of every table; footers and indexes, at the ends, stay whole."""
    for table in folder.glob("*.sst"):
        content = bytearray(table.read_bytes())
        for place in range(100, len(content) // 2, 500):
            content[place] ^= 0xFF
        table.unlink()
        table.write_bytes(bytes(content))


def _has_ended(worker: LoneWorker) -> bool:
    return worker._process is not None and worker._process.poll() is not None


def test_damage_and_loss_of_a_disk_are_healed_and_a_snapshot_spares_the_changelog(worker: LoneWorker) -> None:
    events: list[dict[str, Any]] = list(generate(Plan(customers=12, events=300, seed=5, duplicate_share=0)))
    run, data = worker.system.run, worker.system.data_dir
    worker.send(events[:200])
    worker.start()
    wait_until(worker.is_quiet, "quiet")
    # Beside a worker that runs.
    verified = run("state", "verify", "--deep", "--json")
    assert verified.returncode == 0, verified.stdout + verified.stderr
    verdicts = {one["store"]: one for one in json.loads(verified.stdout)}
    assert {"context-0", "context-1", "identity-0", "links"} <= verdicts.keys()
    assert verdicts["context-0"]["compared"] > 0
    taken = run("state", "snapshot", "taken")
    assert taken.returncode == 0, taken.stderr
    assert not (data / "worker-0" / "snapshot").exists()
    worker.stop()

    # A disk that goes bad: the worker ends by itself, or finds it at its start; the next start finds it healed.
    for partition in range(PARTITIONS):
        _damage(data / "worker-0" / f"context-{partition}")
    worker.send(events[200:250])
    worker.start()
    wait_until(lambda: _has_ended(worker) or worker.is_quiet(), "an end, or all done")
    if _has_ended(worker):
        assert worker.ended() == 3, worker.log_file.read_text()
        worker.work_off()
    else:
        worker.stop()
    assert (data / "worker-0" / "context-0.set-aside").is_dir()
    worker.assert_exact(events[:250])

    # A disk that is lost.
    shutil.rmtree(data / "worker-0")
    restored = run("state", "restore", "taken")
    assert restored.returncode == 0, restored.stderr
    worker.send(events[250:])
    worker.start()
    wait_until(worker.is_quiet, "quiet")
    records = worker.system.metric(worker.system.worker_url, "goldenthread_restore_records_total", stage="context")
    worker.stop()
    worker.assert_exact(events)
    changelog = sum(1 for _ in read_all(worker.kafka, worker.catalogue.name(Topic.STATE), PARTITIONS))
    assert 0 < records < changelog / 2, (records, changelog)
