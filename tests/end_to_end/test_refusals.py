"""What is set up wrong stops at the start, with an exit code for supervisors and a sentence for people."""

import secrets
import socket
from pathlib import Path
from typing import Final

import pytest
from confluent_kafka.admin import AdminClient, NewTopic

from tests.end_to_end.conftest import SystemMaker
from tests.running_system import RunningSystem

pytestmark = pytest.mark.kafka

ADMIN_TIMEOUT_S: Final = 60.0
ANOTHER_SECRET: Final = "another secret than that of the data"  # noqa: S105 - it keeps nothing.
USAGE: Final = 2
OPERATOR: Final = 4
MAPPING: Final = "version: 1\nsource: a\nevent: {id: id, type: \"'t'\", time: time, data: {}, dta: {}}\n"


def refused(system: RunningSystem, *command: str, code: int, names: tuple[str, ...], **settings: str) -> None:
    """The command ends at once with the code and one message that holds these words, and no traceback."""
    ended = system.run(*command, **settings)
    assert ended.returncode == code, ended.stderr
    for name in names:
        assert name in ended.stderr
    assert "Traceback" not in ended.stderr


@pytest.mark.parametrize(
    ("setting", "value", "names"),
    [
        ("GOLDENTHREAD_PARTITIONS", "0", ("GOLDENTHREAD_PARTITIONS", "1")),
        ("GOLDENTHREAD_PARTITIOS", "4", ("GOLDENTHREAD_PARTITIOS is no setting", "GOLDENTHREAD_PARTITIONS")),
        ("GOLDENTHREAD_LOOKUP_PORT", "http", ("GOLDENTHREAD_LOOKUP_PORT",)),
        (
            "GOLDENTHREAD_HOST",
            "0.0.0.0",  # noqa: S104 - it is refused.
            ("GOLDENTHREAD_HOST: other machines reach 0.0.0.0", "GOLDENTHREAD_ACCESS_FILE", "set it to 127.0.0.1"),
        ),
        ("GOLDENTHREAD_SECRET", "short", ("GOLDENTHREAD_SECRET", "16")),
        ("GOLDENTHREAD_SOURCES_FILE", "nowhere.yaml", ("GOLDENTHREAD_SOURCES_FILE", "nowhere.yaml")),
    ],
)
def test_a_wrong_setting_is_named(make_system: SystemMaker, setting: str, value: str, names: tuple[str, ...]) -> None:
    refused(make_system("setting"), "up", code=USAGE, names=names, **{setting: value})


def test_an_unknown_key_in_a_file_is_named_with_the_file(make_system: SystemMaker, tmp_path: Path) -> None:
    system = make_system("file")
    sources, identity, mapping = tmp_path / "sources.yaml", tmp_path / "identity.yaml", tmp_path / "mapping.yaml"
    sources.write_text("sources: {shop: {chanel: web}}\n")
    refused(system, "up", code=USAGE, names=("sources.yaml", "chanel"), GOLDENTHREAD_SOURCES_FILE=str(sources))
    identity.write_text("kindz: []\n")
    refused(system, "up", code=USAGE, names=("identity.yaml", "kindz"), GOLDENTHREAD_IDENTITY_FILE=str(identity))
    mapping.write_text(MAPPING)
    sources.write_text("sources: {shop: {channel: web, mapping: mapping.yaml}}\n")
    refused(system, "up", code=USAGE, names=("mapping.yaml", "dta"), GOLDENTHREAD_SOURCES_FILE=str(sources))
    sources.write_text("sources: {shop: {channel: pigeon}}\n")
    refused(system, "up", code=USAGE, names=("pigeon", "shop"), GOLDENTHREAD_SOURCES_FILE=str(sources))


def test_a_port_in_use_is_named_with_its_setting(make_system: SystemMaker) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        for command, setting in (("up", "LOOKUP_PORT"), ("up", "ADMIN_PORT"), ("lookup", "LOOKUP_PORT")):
            name = f"GOLDENTHREAD_{setting}"
            refused(make_system("port"), command, code=USAGE, names=(name, port), **{name: port})


def test_a_data_folder_in_use_or_of_another_secret_is_refused(system: RunningSystem, make_system: SystemMaker) -> None:
    second = make_system("second")
    in_use = str(system.data_dir)
    refused(second, "up", code=USAGE, names=("GOLDENTHREAD_DATA_DIR", in_use), GOLDENTHREAD_DATA_DIR=in_use)
    other = make_system("other")
    assert other.run("config", "check").returncode == 0
    for command in ("up", "worker", "lookup", "admin"):
        names = ("GOLDENTHREAD_SECRET", "GOLDENTHREAD_DATA_DIR")
        refused(other, command, code=OPERATOR, names=names, GOLDENTHREAD_SECRET=ANOTHER_SECRET)


def make_topic(broker: str, name: str, partitions: int, config: dict[str, str]) -> None:
    """A topic as somebody else made it."""
    admin = AdminClient({"bootstrap.servers": broker, "log_level": 0})
    topic = NewTopic(name, num_partitions=partitions, replication_factor=1, config=config)
    admin.create_topics([topic])[name].result(timeout=ADMIN_TIMEOUT_S)


def test_a_topic_of_the_wrong_kind_stops_everything_and_says_what_to_do(make_system: SystemMaker, broker: str) -> None:
    system = make_system("kind")
    make_topic(broker, f"{system.prefix}context", 4, {"cleanup.policy": "delete"})
    names = (f"{system.prefix}context", "cleanup.policy=delete", "compact")
    refused(system, "up", code=OPERATOR, names=names)
    # Every process looks for itself.
    for command in ("worker", "lookup", "admin"):
        refused(system, command, code=OPERATOR, names=names)


def test_a_topic_of_another_partition_count_stops_everything_and_names_the_setting(
    make_system: SystemMaker, broker: str
) -> None:
    system = make_system("count")
    make_topic(broker, f"{system.prefix}routed", 3, {"message.timestamp.type": "LogAppendTime"})
    refused(system, "init", code=OPERATOR, names=(f"{system.prefix}routed", "3", "GOLDENTHREAD_PARTITIONS"))
    refused(system, "init", code=OPERATOR, names=("GOLDENTHREAD_PARTITIONS",), GOLDENTHREAD_PARTITIONS="3")


def test_a_broker_that_is_not_there_is_said_with_its_address(make_system: SystemMaker) -> None:
    system = make_system(f"nowhere-{secrets.token_hex(2)}")
    refused(
        system, "tail", "context", code=USAGE, names=("127.0.0.1:9", "KAFKA_BOOTSTRAP_SERVERS"),
        KAFKA_BOOTSTRAP_SERVERS="127.0.0.1:9",
    )  # fmt: skip
