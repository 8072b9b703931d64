"""The job's topics: made before an engine starts, gone after it, their append times the broker's own."""

from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import Future
from typing import Final

from confluent_kafka import KafkaException
from confluent_kafka.admin import (
    AdminClient,
    AlterConfigOpType,
    ConfigEntry,
    ConfigResource,
    NewTopic,
    ResourceType,
)

from schemas.errors import BrokerUnreachable

PARTITIONS: Final = 4
EVENTS: Final = "events"
INTERACTIONS: Final = "interactions"
CONTEXT: Final = "context"
_REQUEST_SECONDS_MAX: Final = 60.0
_TIMESTAMPS: Final = "message.timestamp.type"
_APPENDED: Final = "LogAppendTime"
_PRODUCED: Final = "CreateTime"


def make_job_topics(bootstrap_servers: str, prefix: str) -> None:
    """What peers read and write: `events`, `interactions` and `context` (compacted), four partitions each.

    Raises:
        BrokerUnreachable: they can't be made.
    """
    policies: Mapping[str, str] = {EVENTS: "delete", INTERACTIONS: "delete", CONTEXT: "compact"}
    topics = [
        NewTopic(prefix + name, PARTITIONS, 1, config={"cleanup.policy": policy, _TIMESTAMPS: _APPENDED})
        for name, policy in policies.items()
    ]
    _admin_call(bootstrap_servers, lambda admin: admin.create_topics(topics, request_timeout=_REQUEST_SECONDS_MAX))


def stamp_appends(bootstrap_servers: str, topic: str, *, by_broker: bool = True) -> None:
    """From now on the broker stamps a topic's records at their append, or, as it was, their producers do."""
    kind = _APPENDED if by_broker else _PRODUCED
    entry = ConfigEntry(_TIMESTAMPS, kind, incremental_operation=AlterConfigOpType.SET)
    resource = ConfigResource(ResourceType.TOPIC, topic, incremental_configs=[entry])
    _admin_call(bootstrap_servers, lambda admin: admin.incremental_alter_configs([resource]))


def drop_topics(bootstrap_servers: str, having: str) -> None:
    """Delete all topics whose names contain this, changelogs that engines made for themselves among them."""
    names = [name for name in topic_names(bootstrap_servers) if having in name]
    if names:
        _admin_call(bootstrap_servers, lambda admin: admin.delete_topics(names, request_timeout=_REQUEST_SECONDS_MAX))


def topic_names(bootstrap_servers: str) -> Iterable[str]:
    """The names of all topics that are there."""
    return list(_admin(bootstrap_servers).list_topics(timeout=_REQUEST_SECONDS_MAX).topics)


def _admin(bootstrap_servers: str) -> AdminClient:
    # What goes wrong is in the answers; a client that goes away is no news.
    return AdminClient({"bootstrap.servers": bootstrap_servers, "log_level": 2})


def _admin_call(bootstrap_servers: str, call: Callable[[AdminClient], "dict[object, Future[object]]"]) -> None:
    # Kept in a name until the answers are there: a client that is collected never answers.
    admin = _admin(bootstrap_servers)
    for name, future in call(admin).items():
        try:
            future.result(_REQUEST_SECONDS_MAX)
        except KafkaException as error:
            raise BrokerUnreachable(f"{name}: {error.args[0].str()}") from error
        except TimeoutError as error:
            raise BrokerUnreachable(f"{name}: no answer within {_REQUEST_SECONDS_MAX:.0f} s") from error
