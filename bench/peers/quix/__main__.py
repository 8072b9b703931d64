"""The job on Quix Streams, run as `python -m bench.peers.quix` with the arguments that every peer takes."""

import threading
import time
from collections.abc import Callable
from operator import itemgetter
from typing import Any, Final

from confluent_kafka import ConsumerGroupState, KafkaException
from confluent_kafka.admin import AdminClient
from quixstreams import Application  # type: ignore[import-not-found, unused-ignore]  # in its own environment only
from quixstreams.models import JSONDeserializer, JSONSerializer  # type: ignore[import-not-found, unused-ignore]
from quixstreams.sinks import BaseSink  # type: ignore[import-not-found, unused-ignore]
from quixstreams.state import State  # type: ignore[import-not-found, unused-ignore]

from bench.peers.arguments import PeerArguments, parse_arguments
from bench.peers.customer import Customer, Event, decode_customer, decode_event, encode_customer

# Its own default.
_COMMIT_INTERVAL_MS: Final = 5_000
# The one value that a customer's state is.
_STATE_KEY: Final = b"c"
_READY_POLL_SECONDS: Final = 0.1
_REQUEST_SECONDS_MAX: Final = 5.0

Produce = Callable[..., None]


class ChangedDocuments(BaseSink):  # type: ignore[misc, unused-ignore]  # the library is not there where types are checked
    """Sends the document of each customer that changed since the last checkpoint, within the next one.

    The engine flushes its sinks as the first step of a checkpoint, then its producer, and then it commits: what is
    given to that producer here is delivered before the offsets are, and belongs to its transaction where there is one.
    It holds states as they are stored: tens of thousands of decoded ones would keep Python's garbage collector busy.
    """

    def __init__(self, topic: str, produce: Produce) -> None:
        super().__init__()
        self._topic = topic
        self._produce = produce
        self._changed: dict[bytes, bytes] = {}

    def add(self, value: tuple[bytes, bytes], key: bytes, **_: Any) -> None:
        """Note that a customer changed, and to what."""
        self._changed[key] = value[1]

    def flush(self) -> None:
        """Send the documents."""
        for key, state in self._changed.items():
            document = decode_customer(state).document(key.decode())
            self._produce(topic=self._topic, key=key, value=document)
        self._changed.clear()

    def on_paused(self) -> None:
        """Forget what will be processed again."""
        self._changed.clear()


def fold(event: Event, key: bytes, _timestamp: int, _headers: Any, state: State) -> tuple[bytes, bytes] | None:
    """The event's interaction and the customer's state after it; None for a copy of an event that was folded before."""
    held = state.get_bytes(_STATE_KEY)
    customer = Customer() if held is None else decode_customer(held)
    interaction = customer.fold(event, key.decode())
    if interaction is None:
        return None
    changed = encode_customer(customer)
    state.set_bytes(_STATE_KEY, changed)
    return interaction, changed


def application(arguments: PeerArguments) -> Application:
    """The engine as its documentation tunes it; the README tells what each setting is for."""
    return Application(
        broker_address=arguments.bootstrap_servers,
        consumer_group=arguments.application,
        auto_offset_reset="earliest",
        commit_interval=arguments.commit_interval_ms / 1000,
        processing_guarantee="exactly-once" if arguments.exactly_once else "at-least-once",
        state_dir=arguments.state_dir,
        producer_extra_config={"compression.type": "lz4", "partitioner": "consistent"},
        loglevel="WARNING",
    )


def say_ready(arguments: PeerArguments) -> None:
    """Print `ready` once the application's consumer group has its partitions."""
    client = AdminClient({"bootstrap.servers": arguments.bootstrap_servers})
    while not is_assigned(client, arguments.application):
        time.sleep(_READY_POLL_SECONDS)
    print("ready", flush=True)


def is_assigned(client: AdminClient, group: str) -> bool:
    """Whether a member of the group has partitions."""
    try:
        described = client.describe_consumer_groups([group])[group].result(_REQUEST_SECONDS_MAX)
    except KafkaException:
        # The group is not there yet.
        return False
    return described.state == ConsumerGroupState.STABLE and any(
        member.assignment.topic_partitions for member in described.members
    )


def run(arguments: PeerArguments) -> None:
    """Run until SIGTERM, which the engine itself takes as the word to commit and end."""
    app = application(arguments)
    events = app.topic(f"{arguments.prefix}events", value_deserializer=JSONDeserializer(loads=decode_event))
    # What is sent is JSON already, the first of the two values that `fold` gives.
    interactions = app.topic(f"{arguments.prefix}interactions", value_serializer=JSONSerializer(dumps=itemgetter(0)))
    frame = app.dataframe(events)
    frame = frame.apply(fold, stateful=True, metadata=True)
    frame = frame.filter(lambda folded: folded is not None)
    frame = frame.to_topic(interactions)
    frame.sink(ChangedDocuments(f"{arguments.prefix}context", frame.processing_context.producer.produce))
    threading.Thread(target=say_ready, args=[arguments], daemon=True).start()
    app.run()


if __name__ == "__main__":
    run(parse_arguments("bench.peers.quix", commit_interval_ms=_COMMIT_INTERVAL_MS))
