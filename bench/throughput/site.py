"""Where a benchmark runs: one broker of its own, on free ports, with a folder that goes with it."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final, NamedTuple

from bench.job.topics import EVENTS, PARTITIONS, drop_topics, make_job_topics
from bench.own_system import free_ports
from streams.broker.configuration import TOPICS_DIRECTORY
from streams.broker.local_broker import LocalBroker
from streams.broker.options import BrokerOptions, default_cache_dir
from streams.kafka import KafkaOptions
from streams.topics import record_new_partitions

#: The broker's heap: enough that it never waits for memory, small beside the page cache.
BROKER_HEAP_MB: Final = 1024
_FIRST_PREFIX: Final = "first."


class Site(NamedTuple):
    """A broker that runs, and a folder for whatever runs beside it."""

    bootstrap_servers: str
    broker_pid: int
    #: Where the broker keeps its logs, a folder for each partition.
    topics_dir: Path
    folder: Path


def _make_offsets_topic(bootstrap_servers: str) -> None:
    """Have the broker make its topic of offsets, which otherwise keeps the first engine waiting and no other."""
    make_job_topics(bootstrap_servers, _FIRST_PREFIX)
    record_new_partitions(KafkaOptions(bootstrap_servers), _FIRST_PREFIX, {_FIRST_PREFIX + EVENTS: PARTITIONS})
    drop_topics(bootstrap_servers, _FIRST_PREFIX)


@contextmanager
def open_site(folder: Path) -> Iterator[Site]:
    """A broker in the folder, for as long as the context lasts.

    Raises:
        BrokerUnreachable: it does not come up.
    """
    port, controller = free_ports(2)
    options = BrokerOptions(
        data_dir=folder / "broker",
        cache_dir=Path(os.environ.get("GOLDENTHREAD_CACHE_DIR") or default_cache_dir()),
        port=port,
        controller_port=controller,
        heap_mb=BROKER_HEAP_MB,
    )
    options.data_dir.mkdir(parents=True)
    with LocalBroker(options) as broker:
        _make_offsets_topic(broker.bootstrap_servers)
        yield Site(broker.bootstrap_servers, broker.pid, options.data_dir / TOPICS_DIRECTORY, folder)
