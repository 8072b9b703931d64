"""Metrics of the RocksDB stores of a process, read when they are asked for and not more than every few seconds."""

import math
import threading
import time
from collections.abc import Callable, Iterator
from typing import Final

from prometheus_client.core import GaugeMetricFamily
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

from state.store_statistics import MeasuredStore, StoreStatistics

#: RocksDB takes its lock for some of these; scrapes of several servers share one reading.
SAMPLE_SECONDS: Final = 2.0

#: Name, meaning, and which figure of the statistics it is.
_OF_EACH_STORE: Final[tuple[tuple[str, str, Callable[[StoreStatistics], float]], ...]] = (
    ("store_keys", "Rows in the store, as RocksDB estimates them.", lambda found: found.keys),
    ("store_size_bytes", "Bytes of the store's tables on disk.", lambda found: found.size_bytes),
    ("store_memtable_bytes", "Bytes in memory that are not in tables yet.", lambda found: found.memtable_bytes),
    (
        "store_compaction_pending_bytes",
        "Bytes that compaction has to rewrite, as RocksDB estimates them.",
        lambda found: found.compaction_pending_bytes,
    ),
    ("store_compactions_running", "Compactions that run just now.", lambda found: found.compactions_running),
    (
        "store_write_stalled",
        "1 while RocksDB stops or slows writes, as it does when compaction falls behind.",
        lambda found: found.write_stalled,
    ),
    ("store_background_errors", "Errors of RocksDB's own work since the store was opened.", lambda found: found.errors),
    ("store_disk_size_bytes", "Size of the disk under the store.", lambda found: found.disk_size_bytes),
    ("store_disk_available_bytes", "Free bytes on the disk under the store.", lambda found: found.disk_available_bytes),
)
# All stores of a process share one cache, so any of them tells.
_OF_THE_CACHE: Final[tuple[tuple[str, str, Callable[[StoreStatistics], float]], ...]] = (
    ("store_cache_bytes", "Bytes in the block cache that all stores share.", lambda found: found.cache_bytes),
    ("store_cache_size_bytes", "Bytes that the block cache may hold.", lambda found: found.cache_size_bytes),
)


class StoreMetrics(Collector):
    """Reads the statistics of every open store for each scrape."""

    def __init__(self, sample_s: float = SAMPLE_SECONDS) -> None:
        self._sample_s = sample_s
        self._stores: dict[str, MeasuredStore] = {}
        self._lock = threading.Lock()
        self._sampled: dict[str, StoreStatistics] = {}
        self._sampled_at = -math.inf

    def watch(self, name: str, store: MeasuredStore) -> None:
        """Show this store from now on, in place of a former one of the name; a closed one shows nothing."""
        with self._lock:
            self._stores[name] = store

    def forget(self, name: str) -> None:
        """Show the store no more."""
        with self._lock:
            self._stores.pop(name, None)
            self._sampled.pop(name, None)

    def watched(self) -> dict[str, MeasuredStore]:
        """The stores that are shown, by name."""
        with self._lock:
            return dict(self._stores)

    def collect(self) -> Iterator[Metric]:
        """One gauge family for each figure, with a sample for each open store."""
        with self._lock:
            sampled = self._sample()
        for name, meaning, figure in _OF_EACH_STORE:
            family = GaugeMetricFamily(f"goldenthread_{name}", meaning, labels=("store",))
            for store, statistics in sampled.items():
                family.add_metric((store,), figure(statistics))
            yield family
        for name, meaning, figure in _OF_THE_CACHE:
            family = GaugeMetricFamily(f"goldenthread_{name}", meaning, labels=())
            for statistics in list(sampled.values())[:1]:
                family.add_metric((), figure(statistics))
            yield family

    def _sample(self) -> dict[str, StoreStatistics]:
        now = time.monotonic()
        if now - self._sampled_at >= self._sample_s:
            read = {name: store.statistics() for name, store in self._stores.items()}
            self._sampled = {name: statistics for name, statistics in read.items() if statistics is not None}
            self._sampled_at = now
        return dict(self._sampled)
