"""How partitions are shared out among workers."""

from typing import Final

from schemas.topics import DEFAULT_CHANNELS, DEFAULT_PARTITIONS
from tests.running_system import RunningSystem

#: Those of all raw topics, of `routed`, and the one of evidence.
ALL_PARTITIONS: Final = len(DEFAULT_CHANNELS) * DEFAULT_PARTITIONS + DEFAULT_PARTITIONS + 1


def partitions_of(system: RunningSystem, url: str) -> float:
    """How many partitions a worker runs, of all stages; none while nobody answers."""
    try:
        return system.metric(url, "goldenthread_assigned_partitions")
    except ConnectionError:
        return 0
