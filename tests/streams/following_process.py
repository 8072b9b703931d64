"""A process that follows one topic until it is killed; run by test_follower.

Arguments: the brokers, the topic, its number of partitions, the folder of the copy. It prints `ready` once it is.
"""

import signal
import sys
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path

from state.engine import Rows
from state.store import Store
from streams.bulk import Record
from streams.follower import Follower
from streams.kafka import KafkaOptions
from streams.metrics import Metrics

FINGERPRINT = "f"


def newest(records: Sequence[Record], _rows: Rows) -> Mapping[bytes, bytes | None]:
    """The projection: the newest value of each key."""
    return {record.key: record.value for record in records if record.key is not None}


def main(brokers: str, topic: str, partitions: str, folder: str) -> None:
    """Follow until SIGTERM."""
    stopping = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: stopping.set())
    store = Store.open(Path(folder), secret_fingerprint=FINGERPRINT)
    follower = Follower(
        "copy",
        kafka=KafkaOptions(brokers),
        topics={topic: int(partitions)},
        store=store,
        project=newest,
        metrics=Metrics("test", "1"),
    )
    follower.start()
    told = False
    while not stopping.wait(0.02):
        if follower.failure is not None:
            raise follower.failure
        if follower.ready and not told:
            told = True
            sys.stdout.write("ready\n")
            sys.stdout.flush()
    follower.stop()
    store.close()


if __name__ == "__main__":
    main(*sys.argv[1:])
