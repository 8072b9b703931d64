"""Stores are measured while they are open, from the outside of whoever writes to them."""

from pathlib import Path

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.parser import text_string_to_metric_families

from state.store import Store
from state.store_cache import shared_cache
from streams.store_metrics import StoreMetrics

FINGERPRINT = "f"


def _samples(metrics: StoreMetrics) -> dict[tuple[str, str], float]:
    registry = CollectorRegistry()
    registry.register(metrics)
    return {
        (sample.name, sample.labels.get("store", "")): sample.value
        for family in text_string_to_metric_families(generate_latest(registry).decode())
        for sample in family.samples
    }


def test_an_open_store_shows_its_rows_its_size_and_its_disk(tmp_path: Path) -> None:
    cache = shared_cache(8 * 1024 * 1024)
    metrics = StoreMetrics(sample_s=0)
    store = Store.open(tmp_path / "one", secret_fingerprint=FINGERPRINT, cache=cache)
    metrics.watch("one", store)
    store.write({b"%d" % number: b"x" * 1000 for number in range(1000)}, {})
    before = _samples(metrics)
    # The row that says what wrote the folder is one, too.
    assert before["goldenthread_store_keys", "one"] == 1001
    assert before["goldenthread_store_memtable_bytes", "one"] > 1_000_000
    assert before["goldenthread_store_size_bytes", "one"] == 0
    store.flush()
    after = _samples(metrics)
    assert after["goldenthread_store_size_bytes", "one"] > 0
    assert after["goldenthread_store_cache_size_bytes", ""] == 8 * 1024 * 1024
    assert after["goldenthread_store_disk_available_bytes", "one"] > 0
    assert after["goldenthread_store_disk_available_bytes", "one"] < after["goldenthread_store_disk_size_bytes", "one"]
    assert after["goldenthread_store_write_stalled", "one"] == 0
    assert after["goldenthread_store_background_errors", "one"] == 0
    store.close()


def test_a_closed_or_forgotten_store_shows_nothing_and_a_new_one_of_its_name_does(tmp_path: Path) -> None:
    metrics = StoreMetrics(sample_s=0)
    store = Store.open(tmp_path / "one", secret_fingerprint=FINGERPRINT)
    metrics.watch("one", store)
    store.close()
    assert _samples(metrics) == {}
    store = Store.open(tmp_path / "one", secret_fingerprint=FINGERPRINT)
    metrics.watch("one", store)
    assert ("goldenthread_store_keys", "one") in _samples(metrics)
    metrics.forget("one")
    assert _samples(metrics) == {}
    store.close()


def test_scrapes_in_quick_succession_share_one_reading(tmp_path: Path) -> None:
    metrics = StoreMetrics(sample_s=3600)
    store = Store.open(tmp_path / "one", secret_fingerprint=FINGERPRINT)
    metrics.watch("one", store)
    assert _samples(metrics)["goldenthread_store_keys", "one"] == 1
    store.write({b"more": b"1"}, {})
    assert _samples(metrics)["goldenthread_store_keys", "one"] == 1
    store.close()
