"""Checks of the brokers: whether one answers, what it can do, and how safely it keeps what it is given."""

import time
from collections.abc import Iterable, Mapping
from typing import Any, Final

from confluent_kafka import KafkaException
from confluent_kafka.admin import AdminClient, ConfigResource, ResourceType, TopicMetadata

from goldenthread.doctor.examination import Examination, Report
from goldenthread.settings import variable_name
from schemas.errors import LoginRefused, NoBroker
from schemas.topics import Catalogue
from streams.broker_features import api_versions, unmet
from streams.topics import differing_topics, wait_for_broker

WAIT_SECONDS: Final = 4.0
REQUEST_TIMEOUT_SECONDS: Final = 4.0
SLOW_SECONDS: Final = 1.0
# What the broker itself keeps offsets and transactions in: with one replica these are lost with one disk.
_INTERNAL_TOPICS: Final = ("__consumer_offsets", "__transaction_state")
_SHOWN_MAX: Final = 5


def check_broker(examination: Examination, report: Report) -> None:
    """A broker answers, and lets this client in."""
    kafka = examination.kafka
    began = time.monotonic()
    try:
        wait_for_broker(kafka, WAIT_SECONDS)
    except LoginRefused as error:
        report.problem(str(error), "correct these settings, or have the user added at the brokers")
        return
    except NoBroker as error:
        if examination.broker_is_local:
            action = f"goldenthread up starts it; set {variable_name('kafka_bootstrap_servers')} for another one"
            report.warn(f"the local broker is not running ({kafka.bootstrap_servers})", action)
        else:
            report.problem(str(error), "start the broker, correct the address, or open the way to it")
        return
    took_s = time.monotonic() - began
    metadata = AdminClient(kafka.admin()).list_topics(timeout=REQUEST_TIMEOUT_SECONDS)
    found = f"{len(metadata.brokers)} brokers at {kafka.bootstrap_servers}, {kafka.security.protocol.value}"
    if took_s > SLOW_SECONDS:
        report.ok(f"{found}, answered only after {took_s:.1f} s: a restart, an overload, or a slow network")
    else:
        report.ok(f"{found}, answered within {took_s * 1000:.0f} ms")


def check_broker_features(examination: Examination, report: Report) -> None:
    """The broker understands what this program asks of it."""
    versions = api_versions(examination.kafka, REQUEST_TIMEOUT_SECONDS)
    missing = [one.purpose for one in unmet(versions)]
    if missing:
        report.problem(
            f"the broker does not know: {', '.join(missing)}", "use Apache Kafka 3.0 or newer, or what is compatible"
        )
    else:
        report.ok(f"{len(versions)} kinds of requests, transactions among them")


def check_topics(examination: Examination, report: Report) -> None:
    """Every topic is there, and as the catalogue says."""
    kafka, catalogue = examination.kafka, examination.catalogue
    names = [spec.name for spec in catalogue.specs()]
    existing = AdminClient(kafka.admin()).list_topics(timeout=REQUEST_TIMEOUT_SECONDS).topics
    missing = [name for name in names if name not in existing]
    if len(missing) == len(names):
        report.warn(f"no topic {catalogue.prefix}* is there", "goldenthread init makes them")
        return
    if missing:
        report.problem(f"missing: {_listed(missing)}", "run goldenthread init")
    other = _set_otherwise(catalogue, existing)
    if other:
        count = next(iter(other.values()))
        name = variable_name("partitions")
        report.problem(
            f"{name} is {catalogue.partitions}, but there are {count} partitions in {', '.join(sorted(other))}",
            f"set {name}={count}, which the topics were made with; the number of partitions can't change",
        )
    wrong = 0
    for error in differing_topics(kafka, catalogue, [name for name in names if name in existing and name not in other]):
        wrong += 1
        report.problem(str(error), "do what it says, or use another prefix")
    if not missing and not other and not wrong:
        report.ok(f"{len(names)} topics are as they have to be")


def _set_otherwise(catalogue: Catalogue, existing: Mapping[str, TopicMetadata]) -> dict[str, int]:
    """Topics by their numbers of partitions, where all have one number and the setting has another; else none.

    A single topic that differs from the others was made by hand: no setting makes that right.
    """
    # With another setting these would have another number; some have one partition whatever is set.
    others = Catalogue(catalogue.prefix, catalogue.partitions + 1, catalogue.channels)
    settable = [spec.name for spec in others.specs() if spec.partitions == others.partitions]
    counts = {name: len(existing[name].partitions) for name in settable if name in existing}
    same = len(set(counts.values())) == 1 and catalogue.partitions not in counts.values()
    return counts if same else {}


def topics_fit(examination: Examination, report: Report, topics: Mapping[str, int]) -> bool:
    """Whether topics (names, numbers of partitions) are there as they are asked for; else the check is skipped."""
    metadata = AdminClient(examination.kafka.admin()).list_topics(timeout=REQUEST_TIMEOUT_SECONDS)
    for name, count in topics.items():
        found = metadata.topics.get(name)
        if found is None or len(found.partitions) != count:
            report.skip(
                f"{name} {'is not there' if found is None else f'has {len(found.partitions)} partitions'}: see topics"
            )
            return False
    return True


def check_replication(examination: Examination, report: Report) -> None:
    """Copies: as many as there should be, all of them up to date, and a write waits for more than one."""
    admin = AdminClient(examination.kafka.admin())
    metadata = admin.list_topics(timeout=REQUEST_TIMEOUT_SECONDS)
    ours = [name for name in _names(examination.catalogue) if name in metadata.topics]
    if not ours:
        report.skip("no topic is there yet")
        return
    partitions = {(name, number): part for name in ours for number, part in metadata.topics[name].partitions.items()}
    leaderless = [f"{name}/{number}" for (name, number), part in partitions.items() if part.leader < 0]
    behind = [f"{name}/{number}" for (name, number), part in partitions.items() if len(part.isrs) < len(part.replicas)]
    if leaderless:
        report.problem(f"without a leader: {_listed(leaderless)}", "start the brokers that hold these partitions")
    if behind:
        report.problem(f"copies are missing or behind: {_listed(behind)}", "look at the brokers that hold these copies")
    copies = min(len(part.replicas) for part in partitions.values())
    internal = [
        name
        for name in _INTERNAL_TOPICS
        if name in metadata.topics and any(len(part.replicas) < 2 for part in metadata.topics[name].partitions.values())
    ]
    if len(metadata.brokers) == 1:
        report.ok(f"one broker and {copies} copy of everything: a lost disk is lost data")
        return
    if copies == 1:
        report.problem(
            f"topics have one copy on {len(metadata.brokers)} brokers",
            f"reassign them with more replicas; set {variable_name('replication')}=3 before init makes topics",
        )
    if internal:
        report.problem(
            f"one copy of {', '.join(internal)}", "reassign them with three: offsets and transactions live there"
        )
    _check_insync(admin, ours, copies, report)


def _check_insync(admin: AdminClient, names: list[str], copies: int, report: Report) -> None:
    resources = [ConfigResource(ResourceType.TOPIC, name) for name in names]
    answers = admin.describe_configs(resources, request_timeout=REQUEST_TIMEOUT_SECONDS)
    insync = {resource.name: int(_result(future)["min.insync.replicas"].value) for resource, future in answers.items()}
    single = [name for name, least in insync.items() if least < 2]
    stuck = [name for name, least in insync.items() if least >= copies]
    if copies > 1 and single:
        report.warn(
            f"a write waits for one copy only in {_listed(single)}", "set min.insync.replicas=2 on topics or brokers"
        )
    elif copies > 1 and stuck:
        report.warn(
            f"one broker that is away stops writes to {_listed(stuck)}",
            "set min.insync.replicas to one less than the number of copies",
        )
    elif copies > 1:
        report.ok(f"{copies} copies, a write waits for at least {min(insync.values())}")


def _names(catalogue: Catalogue) -> list[str]:
    return [spec.name for spec in catalogue.specs()]


def _listed(names: Iterable[str]) -> str:
    listed = sorted(names)
    more = f" and {len(listed) - _SHOWN_MAX} more" if len(listed) > _SHOWN_MAX else ""
    return ", ".join(listed[:_SHOWN_MAX]) + more


def _result(future: Any) -> Any:
    try:
        return future.result(REQUEST_TIMEOUT_SECONDS)
    except KafkaException as error:
        raise NoBroker(f"settings of topics: {error.args[0].str()}") from error
