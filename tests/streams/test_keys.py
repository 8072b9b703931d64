"""Goal: whoever writes or looks for a key means the same partition. Method: librdkafka's own choice, on a broker."""

import pytest
from confluent_kafka import Message, Producer

from schemas.topics import Catalogue, Topic, partition_of
from streams.kafka import KafkaOptions

pytestmark = pytest.mark.kafka
KEYS = ["30e14efd8af071f238094aca75dc07f1", "ann@example.com", "jörg", "客户-7", "", " ", '"quoted"', "e\u0301"]


@pytest.mark.parametrize("as_bytes", [True, False], ids=["bytes", "str"])
def test_a_key_goes_to_the_partition_that_librdkafka_gives_it(
    kafka: KafkaOptions, catalogue: Catalogue, as_bytes: bool
) -> None:
    # Producers of others name the partitioner that docs/topics.md names; ours choose by `partition_of`.
    producer = Producer(kafka.producer(linger_ms=0) | {"partitioner": "consistent"})
    chosen: dict[bytes, int] = {}

    def delivered(error: object, message: Message) -> None:
        assert error is None
        chosen[message.key() or b""] = message.partition() or 0

    topic = catalogue.name(Topic.INTERACTIONS)
    for key in KEYS:
        producer.produce(topic, b"value", key.encode() if as_bytes else key, on_delivery=delivered)
    assert producer.flush(20) == 0
    assert chosen == {key.encode(): partition_of(key.encode(), catalogue.partitions) for key in KEYS}
    assert set(chosen.values()) == {0, 1}
