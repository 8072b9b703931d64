"""Goal: settings come from where they should, and what is wrong is named. Method: a folder of its own."""

from pathlib import Path

import pytest

from goldenthread.settings import Settings, load_settings, variable_name
from schemas.enrichment.names import ENRICHERS
from schemas.errors import SettingError
from schemas.topics import Catalogue
from streams.faults import FaultPoint

pytestmark = pytest.mark.usefixtures("clean_environment")


def test_every_setting_has_a_default_and_a_description() -> None:
    load_settings()
    assert all(field.description for field in Settings.model_fields.values())


def test_arguments_precede_environment_precedes_env_file_precedes_toml(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "goldenthread.toml").write_text(
        "partitions = 11\nlookup_port = 11\ncollect_port = 11\nworker_port = 11\n"
    )
    (tmp_path / ".env").write_text(
        "GOLDENTHREAD_PARTITIONS=12\nGOLDENTHREAD_LOOKUP_PORT=12\nGOLDENTHREAD_COLLECT_PORT=12\n"
    )
    monkeypatch.setenv("GOLDENTHREAD_PARTITIONS", "13")
    monkeypatch.setenv("GOLDENTHREAD_LOOKUP_PORT", "13")
    settings = load_settings(partitions=14)
    ports = (settings.lookup_port, settings.collect_port, settings.worker_port)
    assert (settings.partitions, *ports) == (14, 13, 12, 11)


def test_an_argument_that_was_not_given_hides_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GOLDENTHREAD_PARTITIONS", "13")
    assert load_settings(partitions=None).partitions == 13


@pytest.mark.parametrize("name", ["KAFKA_BOOTSTRAP_SERVERS", "GOLDENTHREAD_KAFKA_BOOTSTRAP_SERVERS"])
def test_brokers_go_by_two_names(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    assert load_settings(broker_port=19092).bootstrap_servers == "127.0.0.1:19092"
    monkeypatch.setenv(name, "kafka-1:9092,kafka-2:9092")
    assert load_settings().bootstrap_servers == "kafka-1:9092,kafka-2:9092"


def test_lists_are_words_between_commas(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("GOLDENTHREAD_CHANNELS", "web, crm ,chat")
    assert load_settings().channels == ("web", "crm", "chat")
    monkeypatch.delenv("GOLDENTHREAD_CHANNELS")
    (tmp_path / "goldenthread.toml").write_text('channels = ["voice", "web"]')
    assert load_settings().channels == ("voice", "web")


@pytest.mark.parametrize(
    ("given", "names"),
    [("none", ("none",)), ("device, phone", ("phone", "device")), ("", ENRICHERS), ("phone,phone", ("phone",))],
)
def test_enrichers_are_named_in_any_order_or_none(
    monkeypatch: pytest.MonkeyPatch, given: str, names: tuple[str, ...]
) -> None:
    monkeypatch.setenv("GOLDENTHREAD_ENRICHERS", given)
    assert load_settings().enrichers == names


@pytest.mark.parametrize("source", ["environment", ".env", "toml"])
def test_an_unknown_setting_is_refused_with_the_nearest_name(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, source: str
) -> None:
    if source == "environment":
        monkeypatch.setenv("GOLDENTHREAD_PARTITION", "3")
    elif source == ".env":
        (tmp_path / ".env").write_text("GOLDENTHREAD_PARTITION=3\n")
    else:
        (tmp_path / "goldenthread.toml").write_text("partition = 3\n")
    with pytest.raises(SettingError, match=r"is no setting; did you mean GOLDENTHREAD_PARTITIONS\?"):
        load_settings()


def test_an_unknown_setting_that_is_near_to_none_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GOLDENTHREAD_XYZZY", "3")
    with pytest.raises(SettingError, match=r"^GOLDENTHREAD_XYZZY is no setting$"):
        load_settings()


def test_what_is_for_other_programs_is_let_be(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("KAFKA_OPTS", "-Dx")
    (tmp_path / ".env").write_text(
        "COMPOSE_PROJECT_NAME=shop\nKAFKA_BOOTSTRAP_SERVERS=k:1\nGOLDENTHREAD_PARTITIONS=3\n"
    )
    settings = load_settings()
    assert (settings.partitions, settings.bootstrap_servers) == (3, "k:1")


@pytest.mark.parametrize(
    ("name", "value", "reason"),
    [
        ("GOLDENTHREAD_PARTITIONS", "many", "valid integer"),
        ("GOLDENTHREAD_PARTITIONS", "0", "greater than or equal to 1"),
        ("GOLDENTHREAD_LOOKUP_PORT", "70000", "less than or equal to 65535"),
        ("GOLDENTHREAD_REQUESTS_PER_SECOND_MAX", "0", "greater than or equal to 0.001"),
        ("GOLDENTHREAD_SUPERVISOR_TOKEN", "short", "at least 16"),
        ("GOLDENTHREAD_HOST", "shop.example.com", "does not appear to be"),
        ("GOLDENTHREAD_CHANNELS", "web,web", "channels are distinct names"),
        ("GOLDENTHREAD_CHANNELS", "web/1", "channels are distinct names"),
        ("GOLDENTHREAD_ENRICHERS", "phone,emial", "'emial' is no enricher; did you mean email?"),
        ("GOLDENTHREAD_ENRICHERS", "none,phone", "'none' is no enricher"),
        ("GOLDENTHREAD_LOG_LEVEL", "LOUD", "pattern"),
        ("GOLDENTHREAD_APPLICATION", "a b", "pattern"),
        ("GOLDENTHREAD_SESSION_TIMEOUT_S", "0.1", "greater than or equal to 1"),
        ("GOLDENTHREAD_STORE_CACHE_MB", "1048577", "less than or equal to 1048576"),
        ("GOLDENTHREAD_TOPIC_PREFIX", ".", "is no prefix"),
        ("GOLDENTHREAD_TOPIC_PREFIX", "..", "is no prefix"),
        ("GOLDENTHREAD_FAULT", "nonsense", "'nonsense': it has the form \\[STAGE/\\]POINT"),
        ("GOLDENTHREAD_FAULT", "after_commit:0", "it has the form \\[STAGE/\\]POINT"),
        ("GOLDENTHREAD_FAULT", "after_commit:soon", "it has the form \\[STAGE/\\]POINT"),
        ("GOLDENTHREAD_JAVA", "missing", "missing is neither a program nor a folder with bin/java"),
        ("GOLDENTHREAD_JAVA", "plain.txt", "plain.txt is neither a program"),
        ("GOLDENTHREAD_JAVA", "x" * 5_000, "is neither a program"),
        ("KAFKA_HOME", "missing", "missing is no folder"),
        ("KAFKA_HOME", "plain.txt", "plain.txt is no folder"),
        ("GOLDENTHREAD_CACHE_DIR", "plain.txt", "plain.txt is no folder"),
        ("GOLDENTHREAD_CACHE_DIR", "plain.txt/within", "plain.txt is no folder"),
        ("GOLDENTHREAD_CACHE_DIR", "x" * 5_000, "can't be used"),
        ("GOLDENTHREAD_DATA_DIR", "plain.txt", "plain.txt is no folder"),
        ("GOLDENTHREAD_DATA_DIR", "plain.txt/within", "plain.txt is no folder"),
        ("KAFKA_BOOTSTRAP_SERVERS", "k:70000", "a port is a number from 1 to 65535"),
        ("KAFKA_BOOTSTRAP_SERVERS", "k:0", "a port is a number from 1 to 65535"),
        ("KAFKA_BOOTSTRAP_SERVERS", "k:9092,l:²", "is no host:port"),
    ],
)
def test_a_wrong_value_names_its_setting(monkeypatch: pytest.MonkeyPatch, name: str, value: str, reason: str) -> None:
    Path("plain.txt").touch()
    monkeypatch.setenv(name, value)
    with pytest.raises(SettingError, match=rf"^{name}: .*{reason}") as caught:
        load_settings()
    assert "\n" not in str(caught.value)


def test_several_wrong_values_are_named_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GOLDENTHREAD_PARTITIONS", "many")
    monkeypatch.setenv("GOLDENTHREAD_HOST", "8.8.8")
    with pytest.raises(SettingError, match=r"GOLDENTHREAD_PARTITIONS: .*; GOLDENTHREAD_HOST: "):
        load_settings()


@pytest.mark.parametrize("host", ["127.0.0.1", "127.8.8.8", "::1", "localhost"])
def test_loopback_hosts_are_taken(host: str) -> None:
    assert load_settings(host=host).host == host


def test_a_toml_file_that_is_none_is_named(tmp_path: Path) -> None:
    (tmp_path / "goldenthread.toml").write_text("partitions = = 3")
    with pytest.raises(SettingError, match=r"goldenthread\.toml"):
        load_settings()


def test_an_env_file_that_is_no_utf_8_is_named(tmp_path: Path) -> None:
    (tmp_path / ".env").write_bytes(b"GOLDENTHREAD_LOG_LEVEL=\xff\n")
    with pytest.raises(SettingError, match=r"^\.env can't be read: "):
        load_settings()


@pytest.mark.parametrize("name", [".env", "goldenthread.toml"])
def test_a_folder_in_the_place_of_a_file_is_named(tmp_path: Path, name: str) -> None:
    (tmp_path / name).mkdir()
    with pytest.raises(SettingError, match=rf"^{name} is a folder"):
        load_settings()


def test_paths_that_are_there_are_taken(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    java = tmp_path / "bin" / "java"
    java.parent.mkdir()
    java.touch(0o755)
    for given in (java, tmp_path):
        settings = load_settings(java=given, kafka_home=tmp_path, cache_dir=tmp_path / "a" / "b", data_dir=tmp_path)
        assert settings.java == given
    # As a shell would, so does what starts it.
    monkeypatch.setenv("PATH", str(java.parent))
    assert load_settings(java=Path("java")).java == Path("java")


def test_the_longest_names_of_topics_are_ones_to_kafka() -> None:
    settings = load_settings(topic_prefix="p" * 64, channels=("c" * 32,))
    longest = max(len(spec.name) for spec in Catalogue(settings.topic_prefix, 1, settings.channels).specs())
    assert longest <= 249


@pytest.mark.parametrize("point", FaultPoint)
def test_every_fault_point_can_be_set(point: FaultPoint) -> None:
    assert load_settings(fault=f"{point}:2").fault == f"{point}:2"


def test_the_secret_is_not_shown() -> None:
    settings = load_settings(secret="correct horse battery staple")  # noqa: S106 - made up.
    assert "horse" not in repr(settings)


def test_each_worker_has_a_folder_of_its_own() -> None:
    assert load_settings(data_dir=Path("d"), worker_index=2).worker_dir == Path("d/worker-2")


def test_variables_are_named_after_their_settings() -> None:
    assert variable_name("partitions") == "GOLDENTHREAD_PARTITIONS"
    assert variable_name("kafka_home") == "KAFKA_HOME"


@pytest.mark.parametrize(
    ("host", "reached_at"),
    [
        ("127.0.0.1", "127.0.0.1"),
        ("localhost", "localhost"),
        ("192.168.1.5", "192.168.1.5"),
        ("0.0.0.0", "127.0.0.1"),  # noqa: S104 - nothing listens.
        ("::", "[::1]"),
        ("::1", "[::1]"),
    ],
)
def test_own_clients_reach_what_listens_on_every_address(host: str, reached_at: str) -> None:
    assert load_settings(host=host).local_host == reached_at
