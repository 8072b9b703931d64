"""A consumer group as the broker has it: committed offsets, whose topics they are of, and who is in it.

Offsets carry the broker's id of their topic (the commit's metadata): an offset of a topic that was made again under
its old name means nothing in the new one.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Final, NamedTuple

from confluent_kafka import Consumer, KafkaException, TopicPartition
from confluent_kafka.admin import AdminClient

from schemas.errors import BrokerUnreachable
from schemas.topics import Partition
from streams.kafka import KafkaOptions
from streams.rights import require_rights

REQUEST_TIMEOUT_SECONDS: Final = 15.0

_NAMED: Final = "topic-id="
# confluent-kafka takes metadata for a C string, wherever it ends: without this mark it would read on behind it.
_END: Final = "\0"


class GroupOffset(NamedTuple):
    """A committed offset, and the id of the topic that it is of; "" where who committed it said none."""

    offset: int
    topic_id: str = ""


def offset_metadata(topic_id: str) -> str:
    """What is committed beside an offset, to say of which topic it is."""
    return f"{_NAMED}{topic_id}{_END}" if topic_id else ""


def read_offsets(
    kafka: KafkaOptions, group_id: str, places: Sequence[Partition], *, timeout_s: float = REQUEST_TIMEOUT_SECONDS
) -> dict[Partition, GroupOffset | None]:
    """The committed offset of each partition, None where there is none.

    A consumer asks, since librdkafka's admin client crashes on an answer of a coordinator that is not ready.

    Raises:
        BrokerUnreachable: no answer in time.
    """
    wanted = [TopicPartition(*place) for place in places]
    answer = _ask(kafka, group_id, lambda asking: asking.committed(wanted, timeout=timeout_s))
    failed = next((found for found in answer if found.error is not None), None)
    if failed is not None:
        require_rights(failed.error, f"offset of {failed.topic}/{failed.partition}")
        raise BrokerUnreachable(f"offset of {failed.topic}/{failed.partition}: {failed.error.str()}")
    return {
        (found.topic, found.partition): GroupOffset(found.offset, _topic_id(found)) if found.offset >= 0 else None
        for found in answer
    }


def commit_offsets(kafka: KafkaOptions, group_id: str, offsets: Mapping[Partition, GroupOffset]) -> None:
    """Commit the offsets; only a group without members takes them from outside.

    Raises:
        BrokerUnreachable: the broker did not take them.
    """
    if not offsets:
        return
    # The client adds the end mark itself.
    wanted = [
        TopicPartition(*place, each.offset, metadata=offset_metadata(each.topic_id).rstrip(_END))
        for place, each in offsets.items()
    ]
    done = _ask(kafka, group_id, lambda asking: asking.commit(offsets=wanted, asynchronous=False))
    failed = next((each for each in done or () if each.error is not None), None)
    if failed is not None:
        raise BrokerUnreachable(f"offset of {failed.topic}/{failed.partition}: {failed.error.str()}")


def members(kafka: KafkaOptions, group_id: str) -> tuple[str, ...]:
    """The names of the group's members, those included that stopped but whose session has not run out.

    Raises:
        BrokerUnreachable: no answer in time.
    """
    admin = AdminClient(kafka.admin())
    future = admin.describe_consumer_groups([group_id], request_timeout=REQUEST_TIMEOUT_SECONDS)[group_id]
    try:
        described = future.result(2 * REQUEST_TIMEOUT_SECONDS)
    except KafkaException as error:
        require_rights(error.args[0], f"group {group_id}")
        raise BrokerUnreachable(f"group {group_id}: {error.args[0].str()}") from error
    except TimeoutError as error:
        raise BrokerUnreachable(f"group {group_id}: no answer within {REQUEST_TIMEOUT_SECONDS:.0f} s") from error
    return tuple(member.group_instance_id or member.client_id for member in described.members)


def _topic_id(found: TopicPartition) -> str:
    """The id in an offset's metadata; "" where another program wrote something else, or nothing."""
    try:
        metadata = found.metadata or ""
    except UnicodeDecodeError:
        return ""
    return metadata.removeprefix(_NAMED) if metadata.startswith(_NAMED) else ""


def _ask(kafka: KafkaOptions, group_id: str, what: Callable[[Consumer], list[TopicPartition]]) -> list[TopicPartition]:
    asking = Consumer(kafka.reader(group_id=group_id))
    try:
        return what(asking)
    except KafkaException as error:
        require_rights(error.args[0], f"offsets of group {group_id}")
        raise BrokerUnreachable(f"offsets of group {group_id}: {error.args[0].str()}") from error
    finally:
        asking.close()
