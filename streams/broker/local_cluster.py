"""Several local brokers as one cluster: each is a `LocalBroker`, a process of its own, and a voter of the quorum.

For tests and drills of what one broker can't show: leaders that move, brokers that roll, writes that wait for replicas.
"""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from types import TracebackType
from typing import Final, Self

from streams.broker.local_broker import LocalBroker, new_cluster_id
from streams.broker.options import BrokerOptions

NODES: Final = 3
#: Enough for one of several brokers of a test.
NODE_HEAP_MB: Final = 192


class LocalCluster:
    """Three brokers with three replicas of everything, two of which have to be in sync.

    Args:
        data_dir: Each broker has a folder in it.
        cache_dir: Where Kafka's jars are kept.
        ports: Two for each broker, for clients and for the quorum.
        heap_mb: The Java heap of each.
    """

    def __init__(self, data_dir: Path, cache_dir: Path, ports: Sequence[int], *, heap_mb: int = NODE_HEAP_MB) -> None:
        if len(ports) != 2 * NODES:
            raise ValueError(f"{NODES} brokers need {2 * NODES} ports, {len(ports)} were given.")
        voters = [(number + 1, ports[2 * number + 1]) for number in range(NODES)]
        common = BrokerOptions(data_dir=data_dir, cache_dir=cache_dir, cluster_id=new_cluster_id(), heap_mb=heap_mb)
        self.brokers = [
            LocalBroker(
                replace(
                    common,
                    data_dir=data_dir / f"broker-{node_id}",
                    port=ports[2 * (node_id - 1)],
                    controller_port=controller_port,
                    node_id=node_id,
                    peers=tuple(voter for voter in voters if voter[0] != node_id),
                )
            )
            for node_id, controller_port in voters
        ]

    @property
    def bootstrap_servers(self) -> str:
        """The addresses of all brokers."""
        return ",".join(broker.bootstrap_servers for broker in self.brokers)

    def broker(self, node_id: int) -> LocalBroker:
        """The broker that Kafka knows by this number."""
        return self.brokers[node_id - 1]

    def start(self) -> None:
        """Prepare and start all, then wait until each answers: a quorum has to be there before any of them does."""
        for broker in self.brokers:
            broker.prepare()
        for broker in self.brokers:
            broker.start()
        for broker in self.brokers:
            broker.wait_ready()

    def close(self) -> None:
        """Kill all, and give the folders free: to stop in order each would wait for a quorum of the others."""
        for broker in self.brokers:
            if broker.is_running:
                broker.kill()
            broker.close()

    def __enter__(self) -> Self:
        try:
            self.start()
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
