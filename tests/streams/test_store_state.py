"""A follower's copy that is damaged ends its process, and is made anew by the next."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest

from schemas.errors import StoreUnusable
from schemas.topics import Catalogue, Topic
from state.engine import Rows
from state.store import Store
from state.store_cache import shared_cache
from state.store_folder import RebuildReason
from streams.bulk import Record
from streams.follower import Follower
from streams.kafka import KafkaOptions
from streams.metrics import Metrics
from streams.store_state import open_copy
from tests.streams.feeding import send
from tests.waiting import wait_until

pytestmark = pytest.mark.kafka
FINGERPRINT = "f"
ROWS = {b"row/%04d" % number: b"1" * 100 for number in range(300)}


def _project(records: Sequence[Record], _rows: Rows) -> Mapping[bytes, bytes | None]:
    return {record.key: record.value for record in records if record.key is not None}


def test_a_damaged_copy_ends_its_follower_and_is_made_anew(
    kafka: KafkaOptions, catalogue: Catalogue, tmp_path: Path
) -> None:
    topic = catalogue.name(Topic.LINKS)
    send(kafka, topic, ROWS.items())
    metrics = Metrics("test", "1")
    path, cache = tmp_path / "copy", shared_cache(8 * 1024 * 1024)

    def follow() -> tuple[Store, Follower]:
        store = open_copy(path, name="links", secret_fingerprint=FINGERPRINT, cache=cache, metrics=metrics)
        follower = Follower("links", kafka=kafka, topics={topic: 1}, store=store, project=_project, metrics=metrics)
        follower.start()
        wait_until(lambda: follower.ready or follower.failure, "caught up")
        return store, follower

    store, follower = follow()
    assert dict(store.rows()) == ROWS
    follower.stop()
    store.close()

    table = min(path.glob("*.sst"))
    content = bytearray(table.read_bytes())
    content[500] ^= 0xFF
    table.write_bytes(bytes(content))
    # A reader in another thread meets the damage; the follower, whose failure ends the process, tells of it.
    store, follower = follow()
    with pytest.raises(StoreUnusable):
        dict(store.rows())
    wait_until(lambda: follower.failure, "the follower's end")
    assert isinstance(follower.failure, StoreUnusable)
    assert follower.failure.exit_code == 3
    follower.stop()
    store.close()

    store, follower = follow()
    assert dict(store.rows()) == ROWS
    labels = {"store": "links", "reason": RebuildReason.DAMAGED.value}
    assert metrics.registry.get_sample_value("goldenthread_store_rebuilds_total", labels) == 1
    follower.stop()
    store.close()
