"""Topics of its own for each test that asks for them, on the session's broker."""

import uuid

import pytest

from schemas.topics import Catalogue
from streams.kafka import KafkaOptions
from streams.topics import create_topics


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
