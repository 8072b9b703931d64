"""Topics on the broker: made as the catalogue says, and verified at every start of every process."""

import time
from collections.abc import Iterator, Sequence
from concurrent.futures import Future
from typing import Any, Final

from confluent_kafka import (
    KafkaError,
    KafkaException,
    TopicCollection,
)
from confluent_kafka.admin import AdminClient, ConfigResource, NewTopic, ResourceType

from schemas.errors import BrokerUnreachable, LoginRefused, NoBroker, TopicError
from schemas.topics import MIN_INSYNC_CONFIG, Catalogue, Partition, TopicSpec, min_insync_replicas
from streams.bulk import BulkReader
from streams.group import GroupOffset, commit_offsets, read_offsets
from streams.kafka import MESSAGE_SIZE_BYTES_MAX, KafkaOptions
from streams.logs import logger
from streams.rights import require_rights

log = logger(__name__)

ADMIN_TIMEOUT_SECONDS: Final = 15.0
# A topic just made is not known to every broker at once.
_VISIBLE_SECONDS_MAX: Final = 15.0
_RETRY_SECONDS: Final = 0.1
_ANSWER_GRACE_SECONDS: Final = 15.0
# Whoever waits for a broker says so after a while, and again, with the reason: it may wait for nothing.
_WAIT_TOLD_SECONDS: Final = 5.0
_WAIT_TOLD_AGAIN_SECONDS: Final = 60.0
# A new broker makes its offsets topic when it is first asked for offsets.
COORDINATOR_SECONDS_MAX: Final = 45.0
_COORDINATOR_TRY_SECONDS: Final = 2.0
# A connection that a restarting broker cuts off has another code: these are said by a broker that is there.
_REFUSED_CODES: Final = frozenset({KafkaError._AUTHENTICATION, KafkaError._SSL})  # noqa: SLF001 - librdkafka's codes have no other names.
_VERIFIED_CONFIGS: Final = ("cleanup.policy", "message.timestamp.type")
_SIZE_CONFIG: Final = "max.message.bytes"


def _admin(kafka: KafkaOptions) -> AdminClient:
    # Callers keep it in a name until their answer is there: a client that is collected never answers.
    return AdminClient(kafka.admin())


def _result(future: "Future[Any]", what: str) -> Any:
    try:
        # librdkafka ends each request itself, at its own timeout: a client that goes away before that crashes.
        return future.result(ADMIN_TIMEOUT_SECONDS + _ANSWER_GRACE_SECONDS)
    except KafkaException as error:
        if error.args[0].code() == KafkaError.UNKNOWN_TOPIC_OR_PART:
            raise TopicError(f"{what} does not exist: run `goldenthread init`") from error
        require_rights(error.args[0], what)
        raise BrokerUnreachable(f"{what}: {error}") from error
    except TimeoutError as error:
        raise BrokerUnreachable(f"{what}: no answer within {ADMIN_TIMEOUT_SECONDS:.0f} s") from error


def wait_for_broker(kafka: KafkaOptions, timeout_s: float) -> None:
    """Return once a broker answers.

    Raises:
        LoginRefused: one is there and refuses this client; that passes with other settings only.
        NoBroker: none did in time.
    """
    complaints = _Complaints(kafka)
    admin = AdminClient(kafka.admin() | {"error_cb": complaints.take})
    began = time.monotonic()
    deadline, tell_at = began + timeout_s, began + _WAIT_TOLD_SECONDS
    while True:
        try:
            admin.list_topics(timeout=min(2.0, timeout_s))
        except KafkaException as error:
            admin.poll(0)
            complaints.raise_refusal()
            reason = complaints.last or error.args[0].str()
            if time.monotonic() > deadline:
                raise NoBroker(
                    f"no broker answers at {kafka.bootstrap_servers} (KAFKA_BOOTSTRAP_SERVERS) in "
                    f"{kafka.security.protocol.value} (GOLDENTHREAD_KAFKA_SECURITY_PROTOCOL): {reason}"
                ) from error
            if time.monotonic() > tell_at:
                tell_at += _WAIT_TOLD_AGAIN_SECONDS
                log.warning("the broker is waited for", brokers=kafka.bootstrap_servers, reason=reason)
            time.sleep(_RETRY_SECONDS)
        else:
            return


class _Complaints:
    """What librdkafka says of connections that fail; its calls themselves only say that nothing came in time."""

    def __init__(self, kafka: KafkaOptions) -> None:
        self._kafka = kafka
        self._refusal: str | None = None
        self.last: str | None = None

    def take(self, error: KafkaError) -> None:
        """Note one; runs within the client's `poll`."""
        if error.code() in _REFUSED_CODES:
            self._refusal = error.str()
        elif error.code() != KafkaError._ALL_BROKERS_DOWN:  # noqa: SLF001 - as above.
            self.last = error.str()

    def raise_refusal(self) -> None:
        """Raise what no waiting mends."""
        if self._refusal is not None:
            security = self._kafka.security
            raise LoginRefused(
                f"a broker answers at {self._kafka.bootstrap_servers} and refuses this client ({self._refusal}): "
                f"correct {', '.join(security.concerned)}"
            )


def topic_ids(kafka: KafkaOptions, names: Sequence[str]) -> dict[str, str]:
    """The broker's id of each topic; a topic made again under its old name has another.

    Raises:
        TopicError: a topic does not exist.
        BrokerUnreachable: no answer in time.
    """
    admin = _admin(kafka)
    futures = admin.describe_topics(TopicCollection(list(names)), request_timeout=ADMIN_TIMEOUT_SECONDS)
    return {name: str(_result(future, f"topic {name}").topic_id) for name, future in futures.items()}


def create_topics(kafka: KafkaOptions, catalogue: Catalogue, replication: int = 1) -> list[str]:
    """Make the topics that are missing; returns their names. Existing ones are left as they are."""
    admin = _admin(kafka)
    wanted = {
        spec.name: NewTopic(
            spec.name, num_partitions=spec.partitions, replication_factor=replication, config=spec.config(replication)
        )
        for spec in catalogue.specs()
    }
    try:
        existing = admin.list_topics(timeout=ADMIN_TIMEOUT_SECONDS).topics
    except KafkaException as error:
        raise BrokerUnreachable(f"no broker answers at {kafka.bootstrap_servers}: {error}") from error
    missing = [topic for name, topic in wanted.items() if name not in existing]
    if not missing:
        return []
    created = []
    for name, future in admin.create_topics(missing, request_timeout=ADMIN_TIMEOUT_SECONDS).items():
        try:
            future.result(ADMIN_TIMEOUT_SECONDS + _ANSWER_GRACE_SECONDS)
            created.append(name)
        except KafkaException as error:
            # Another process may have been faster; the verification that follows looks at what is there.
            if error.args[0].code() != KafkaError.TOPIC_ALREADY_EXISTS:
                require_rights(error.args[0], f"topic {name} can't be made")
                raise TopicError(f"topic {name} can't be made: {error.args[0].str()}") from error
    _wait_visible(admin, created)
    return created


def _wait_visible(admin: AdminClient, names: Sequence[str]) -> None:
    deadline = time.monotonic() + _VISIBLE_SECONDS_MAX
    while True:
        topics = admin.list_topics(timeout=ADMIN_TIMEOUT_SECONDS).topics
        if all(name in topics and all(part.leader >= 0 for part in topics[name].partitions.values()) for name in names):
            return
        if time.monotonic() > deadline:
            raise BrokerUnreachable(f"new topics did not become visible within {_VISIBLE_SECONDS_MAX:.0f} s")
        time.sleep(_RETRY_SECONDS)


def verify_topics(kafka: KafkaOptions, catalogue: Catalogue, names: Sequence[str] | None = None) -> None:
    """Refuse a broker whose topics differ from the catalogue in partition count, cleanup or timestamps.

    Raises:
        TopicError: naming topic, what it has and what it needs.
    """
    for error in differing_topics(kafka, catalogue, names):
        raise error


def differing_topics(
    kafka: KafkaOptions, catalogue: Catalogue, names: Sequence[str] | None = None
) -> Iterator[TopicError]:
    """What `verify_topics` refuses, topic by topic; all of them are asked for at once, with one login.

    Raises:
        BrokerUnreachable: no answer in time.
    """
    specs = [spec for spec in catalogue.specs() if names is None or spec.name in names]
    if not specs:
        return
    admin = _admin(kafka)
    described = admin.describe_topics(
        TopicCollection([spec.name for spec in specs]), request_timeout=ADMIN_TIMEOUT_SECONDS
    )
    resources = {spec.name: ConfigResource(ResourceType.TOPIC, spec.name) for spec in specs}
    configs = admin.describe_configs(list(resources.values()), request_timeout=ADMIN_TIMEOUT_SECONDS)
    for spec in specs:
        try:
            description = _result(described[spec.name], f"topic {spec.name}")
            found = _result(configs[resources[spec.name]], f"topic {spec.name}")
            configured = {name: found[name].value for name in (*_VERIFIED_CONFIGS, _SIZE_CONFIG, MIN_INSYNC_CONFIG)}
            _verify_one(spec, len(description.partitions), configured)
            _verify_insync(spec, min(len(each.replicas) for each in description.partitions), configured)
        except TopicError as error:
            yield error


def _verify_one(spec: TopicSpec, partitions: int, configs: dict[str, str]) -> None:
    if partitions != spec.partitions:
        raise TopicError(
            f"topic {spec.name} has {partitions} partitions, {spec.partitions} are needed (GOLDENTHREAD_PARTITIONS): "
            "state is kept per partition, so the number can't change, and Kafka takes no partition away. Set the "
            "setting back if it was changed; if the topic was, docs/gaps.md has the ways out (no gap can be accepted "
            "for it); or begin anew under another GOLDENTHREAD_TOPIC_PREFIX"
        )
    if int(configs[_SIZE_CONFIG]) < MESSAGE_SIZE_BYTES_MAX:
        raise TopicError(
            f"topic {spec.name} takes records of {configs[_SIZE_CONFIG]} bytes ({_SIZE_CONFIG}), at least "
            f"{MESSAGE_SIZE_BYTES_MAX} are needed: alter the topic or the broker"
        )
    wanted = spec.config()
    for name in _VERIFIED_CONFIGS:
        if configs[name] != wanted[name]:
            raise TopicError(
                f"topic {spec.name} has {name}={configs[name]}, it must be {wanted[name]}: alter the topic, or delete "
                "it and run `goldenthread init`"
            )


def _verify_insync(spec: TopicSpec, replicas: int, configs: dict[str, str]) -> None:
    wanted = min_insync_replicas(replicas)
    if int(configs[MIN_INSYNC_CONFIG]) < wanted:
        raise TopicError(
            f"topic {spec.name} has {replicas} replicas and {MIN_INSYNC_CONFIG}={configs[MIN_INSYNC_CONFIG]}: what one "
            f"broker alone has may be lost with it; set it to {wanted} (kafka-configs.sh --alter --entity-type topics "
            f"--entity-name {spec.name} --add-config {MIN_INSYNC_CONFIG}={wanted})"
        )


def is_empty(kafka: KafkaOptions, catalogue: Catalogue, topics: Sequence[str]) -> bool:
    """Whether nothing was ever written to any of the topics (names of the catalogue).

    Raises:
        BrokerUnreachable: no answer in time.
    """
    reader = BulkReader(kafka, {})
    try:
        return all(
            reader.watermarks(catalogue.name(topic), number)[1] == 0
            for topic in topics
            for number in range(catalogue.partitions_of(topic))
        )
    finally:
        reader.close()


def group_offsets(
    kafka: KafkaOptions,
    group_id: str,
    partitions: Sequence[Partition],
    *,
    timeout_s: float = ADMIN_TIMEOUT_SECONDS,
) -> dict[Partition, int | None]:
    """The committed offset of each partition, None where there is none.

    Raises:
        BrokerUnreachable: no answer in time.
    """
    found = read_offsets(kafka, group_id, partitions, timeout_s=timeout_s)
    return {partition: None if offset is None else offset.offset for partition, offset in found.items()}


def record_new_partitions(kafka: KafkaOptions, group_id: str, topics: dict[str, int]) -> None:
    """Commit offset 0 where a group has no offset, for topics just made: from then on a missing one was lost.

    The first offsets of a broker's life make the offsets topic, and for a while its coordinator does not answer, or
    takes offsets that it can't store. So tries are short, and what counts is that offsets read back.

    Raises:
        BrokerUnreachable: the group's coordinator did not take the offsets in time.
    """
    partitions = [(topic, number) for topic, count in topics.items() for number in range(count)]
    ids = topic_ids(kafka, list(topics)) if topics else {}
    deadline = time.monotonic() + COORDINATOR_SECONDS_MAX
    while partitions:
        try:
            found = group_offsets(kafka, group_id, partitions, timeout_s=_COORDINATOR_TRY_SECONDS)
            partitions = [partition for partition, offset in found.items() if offset is None]
            if partitions:
                commit_offsets(kafka, group_id, {place: GroupOffset(0, ids[place[0]]) for place in partitions})
        except BrokerUnreachable:
            if time.monotonic() > deadline:
                raise
        if partitions and time.monotonic() > deadline:
            raise BrokerUnreachable(f"offsets of group {group_id} were not stored in {COORDINATOR_SECONDS_MAX:.0f} s")
        time.sleep(_RETRY_SECONDS)
