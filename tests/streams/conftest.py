"""Topics of its own for each test that asks for them, on the session's broker."""

import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest

from schemas.topics import Catalogue
from streams.broker.local_broker import LocalBroker
from streams.broker.options import BrokerOptions
from streams.kafka import KafkaOptions
from streams.topics import create_topics
from tests.conftest import FreePorts
from tests.streams.hurt_broker import HurtBroker
from tests.streams.restoring import Disk, numbered_rows


@pytest.fixture
def kafka(broker: str) -> KafkaOptions:
    """How clients reach the session's broker."""
    return KafkaOptions(broker)


@pytest.fixture
def catalogue(kafka: KafkaOptions) -> Catalogue:
    """Topics just made, two partitions each, under a prefix that no other test has."""
    made = Catalogue(prefix=f"t{uuid.uuid4().hex[:12]}.", partitions=2, channels=("web",))
    create_topics(kafka, made)
    return made


@pytest.fixture
def disk(kafka: KafkaOptions, catalogue: Catalogue, tmp_path: Path) -> Disk:
    """A folder of stores, and a changelog with numbered rows for the first of them."""
    made = Disk(kafka, catalogue, tmp_path / "worker-0")
    made.feed({**numbered_rows()})
    return made


@pytest.fixture(scope="session")
def hurt(tmp_path_factory: pytest.TempPathFactory, cache_dir: Path, free_ports: FreePorts) -> Iterator[HurtBroker]:
    """A broker that a test may pause, stop and start, as long as it runs when the test ends."""
    port, controller_port = free_ports(2)
    options = BrokerOptions(
        data_dir=tmp_path_factory.mktemp("hurt-broker"),
        cache_dir=cache_dir,
        port=port,
        controller_port=controller_port,
        heap_mb=256,
    )
    with LocalBroker(options) as broker:
        made = HurtBroker(broker)
        yield made
        made.settle()
