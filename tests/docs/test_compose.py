"""docker-compose.yml, Dockerfile and .env.example say what the program has: settings, commands, ports, files, versions.

No engine runs them here; whatever can be held against the code is.
"""

import re
import tomllib
from collections.abc import Mapping
from importlib import import_module
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pytest
import yaml
from typer.main import get_command

from bench.generator import SOURCES_FILE
from connectors.web.access import Role
from goldenthread.cli import application
from goldenthread.commands.access import ACCESS_FILE
from goldenthread.processes.running import STOP_TIMEOUT_SECONDS
from goldenthread.settings import Settings, load_settings, variable_name
from streams.broker.configuration import server_properties
from streams.broker.jars import KAFKA_VERSION
from streams.broker.options import BrokerOptions

ROOT = Path(__file__).parents[2]
TEXT = (ROOT / "docker-compose.yml").read_text()
COMPOSE: dict[str, Any] = yaml.safe_load(TEXT)
SERVICES: dict[str, Any] = COMPOSE["services"]
OURS = {name: service for name, service in SERVICES.items() if service["image"].startswith("goldenthread:")}
DOCKERFILE = (ROOT / "Dockerfile").read_text()
ENV_EXAMPLE = (ROOT / ".env.example").read_text()
INTERPOLATED = re.compile(r"\$\{([A-Z0-9_]+):-([^}]*)\}")
LINES_MAX = 200
#: One-shots: they end, and have no health.
ENDING = {"init", "demo"}
ACCESS_FOLDER = "/run/goldenthread"
EMPTY: Mapping[str, str] = {}
OFFERED = dict(re.findall(r"^# ([A-Z0-9_]+)=(.*)$", ENV_EXAMPLE, re.MULTILINE))
VARIABLES = {variable_name(field) for field in Settings.model_fields}
DEPLOY = (ROOT / "docs/deploy.md").read_text()


def with_defaults(text: str, dotenv: Mapping[str, str] = EMPTY) -> str:
    """The text as Compose fills it from `.env`."""
    return INTERPOLATED.sub(lambda found: dotenv.get(found[1]) or found[2], text)


def environment(service: str, dotenv: Mapping[str, str] = EMPTY) -> dict[str, str]:
    """A service's environment: `environment` over `env_file` over that of the image, as Compose merges them."""
    assert SERVICES[service]["env_file"] == [{"path": ".env", "required": False}]
    fixed = {name: with_defaults(str(value), dotenv) for name, value in SERVICES[service]["environment"].items()}
    return {**dotenv, **fixed}


def settings_of(
    service: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, dotenv: Mapping[str, str] = EMPTY
) -> Settings:
    """The settings that a process of this service has."""
    monkeypatch.chdir(tmp_path)
    for name, value in environment(service, dotenv).items():
        monkeypatch.setenv(name, value)
    return load_settings()


def test_the_compose_file_stays_short_enough_to_read() -> None:
    assert len(TEXT.splitlines()) <= LINES_MAX


def test_every_image_is_pinned() -> None:
    images = {name: service["image"] for name, service in SERVICES.items()}
    assert {image for image in images.values() if image in {OURS[name]["image"] for name in OURS}} == {
        f"goldenthread:{version('goldenthread')}"
    }
    assert images["kafka"] == f"apache/kafka:{KAFKA_VERSION}"
    assert not [image for image in images.values() if not re.search(r":v?\d+\.\d+\.\d+$", image)]
    bases = re.findall(r"^ARG PYTHON=(.*)$", DOCKERFILE, re.MULTILINE)
    assert all(re.fullmatch(r"python:3\.11-slim-\w+@sha256:[0-9a-f]{64}", base) for base in bases)
    assert re.findall(r"^FROM \S+ (\S+)", DOCKERFILE, re.MULTILINE) == ["${PYTHON}"] * 2


@pytest.mark.parametrize("name", sorted(OURS))
def test_its_variables_are_settings_with_values_that_are_taken(
    name: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    settings = settings_of(name, monkeypatch, tmp_path)
    assert settings.bootstrap_servers == "kafka:29092"
    assert settings.access_file == Path(ACCESS_FOLDER, ACCESS_FILE)
    advertised = SERVICES["kafka"]["environment"]["KAFKA_ADVERTISED_LISTENERS"]
    assert f"INSIDE://{settings.bootstrap_servers}," in advertised


def test_what_can_be_set_stands_in_the_example_with_its_default() -> None:
    used = dict(INTERPOLATED.findall(TEXT))
    assert used.keys() <= OFFERED.keys()
    assert not [name for name, default in used.items() if default and OFFERED[name] != default]
    assert {name for name in OFFERED if name.startswith("GOLDENTHREAD_")} <= VARIABLES
    assert {name for name in used if not name.startswith("GOLDENTHREAD_")}.isdisjoint(VARIABLES)


@pytest.mark.parametrize("name", sorted(OURS))
def test_every_line_of_the_example_can_be_used(name: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    settings = settings_of(name, monkeypatch, tmp_path, OFFERED)
    assert settings.cors_origins == ("https://shop.example",)
    assert settings.requests_per_second_max == 100
    assert settings.sources_file == Path("/config/sources.yaml")
    assert settings.enrichers == Settings.model_fields["enrichers"].default
    assert settings.trusted_traits == Settings.model_fields["trusted_traits"].default


@pytest.mark.parametrize("name", sorted(OURS))
def test_settings_and_keys_of_the_env_file_get_through_and_what_is_fixed_stays(
    name: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    fixed = {variable for variable in environment(name) if variable not in dict(INTERPOLATED.findall(TEXT))}
    dotenv = {
        **dict.fromkeys(fixed, "elsewhere"),
        "GOLDENTHREAD_KAFKA_BOOTSTRAP_SERVERS": "elsewhere:9092",
        "GOLDENTHREAD_ENRICHERS": "none",
        "SHOP_WEB_KEY": "a-key-of-the-shop",
        "COLLECT_PORT": "18090",
        "COMPOSE_PROFILES": "watch",
    }
    settings = settings_of(name, monkeypatch, tmp_path, dotenv)
    assert settings.enrichers == ("none",)
    assert environment(name, dotenv)["SHOP_WEB_KEY"] == "a-key-of-the-shop"
    assert {"KAFKA_BOOTSTRAP_SERVERS", "GOLDENTHREAD_HOST", "GOLDENTHREAD_ACCESS_FILE"} <= fixed
    assert (settings.bootstrap_servers, settings.host) == ("kafka:29092", "0.0.0.0")  # noqa: S104 - in a container.
    assert settings.access_file == Path(ACCESS_FOLDER, ACCESS_FILE)
    assert settings.data_dir == Path("/data")
    assert f"GOLDENTHREAD_DATA_DIR={settings.data_dir}" in DOCKERFILE
    assert (settings.lookup_port, settings.collect_port, settings.worker_port) == (8080, 8090, 8100)
    assert settings.admin_port == 8070


def test_the_example_sets_nothing_by_itself() -> None:
    assert not [line for line in ENV_EXAMPLE.splitlines() if line and not line.startswith("#")]


@pytest.mark.parametrize("name", sorted(set(SERVICES) - ENDING))
def test_services_listen_on_loopback_alone_and_have_a_health_check(name: str) -> None:
    ports = [with_defaults(port) for port in SERVICES[name]["ports"]]
    assert ports
    assert not [port for port in ports if not re.fullmatch(r"127\.0\.0\.1:(\d+):\1", port)]
    assert SERVICES[name]["healthcheck"]["test"][0] == "CMD"


def test_no_two_services_have_one_port() -> None:
    ports = [with_defaults(port) for service in SERVICES.values() for port in service.get("ports", ())]
    assert len(set(ports)) == len(ports)


@pytest.mark.parametrize("name", ["worker-1", "worker-2", "collect", "lookup", "admin"])
def test_ports_commands_and_probes_are_those_of_the_process(
    name: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    settings = settings_of(name, monkeypatch, tmp_path)
    (command,) = SERVICES[name]["command"]
    assert command in get_command(application).commands  # type: ignore[attr-defined]
    port = getattr(settings, f"{command}_port") + (settings.worker_index if command == "worker" else 0)
    assert with_defaults(SERVICES[name]["ports"][0]).endswith(f":{port}")
    assert f"http://127.0.0.1:{port}/readyz" in SERVICES[name]["healthcheck"]["test"][-1]


def test_workers_that_share_the_data_have_indexes_of_their_own() -> None:
    indexes = [environment(name)["GOLDENTHREAD_WORKER_INDEX"] for name in OURS if name.startswith("worker-")]
    assert sorted(indexes) == ["0", "1"]


def test_init_makes_the_tokens_where_everybody_looks_for_them() -> None:
    (command,) = SERVICES["init"]["command"]
    assert command == f"goldenthread access make --folder {ACCESS_FOLDER} && exec goldenthread init"
    prometheus = yaml.safe_load((ROOT / "dashboards/prometheus/prometheus.yml").read_text())
    credentials = {job["authorization"]["credentials_file"] for job in prometheus["scrape_configs"]}
    assert credentials == {f"{ACCESS_FOLDER}/{Role.METRICS}.token"}
    assert f"{ACCESS_FOLDER}/{Role.COLLECT}.token" in SERVICES["demo"]["command"][0]
    uid = re.search(r"^USER (\d+):\1$", DOCKERFILE, re.MULTILINE)
    assert uid is not None
    assert SERVICES["prometheus"]["group_add"] == [uid[1]]


def test_prometheus_and_grafana_find_what_they_watch() -> None:
    prometheus = yaml.safe_load((ROOT / "dashboards/prometheus/prometheus.yml").read_text())
    targets = {
        target for job in prometheus["scrape_configs"] for one in job["static_configs"] for target in one["targets"]
    }
    names = ("worker-1", "worker-2", "collect", "lookup", "admin")
    assert targets == {f"{name}:{with_defaults(SERVICES[name]['ports'][0]).rpartition(':')[2]}" for name in names}
    (source,) = (ROOT / "dashboards/grafana/provisioning/datasources").glob("*.yml")
    assert "url: http://prometheus:9090" in source.read_text()
    (provider,) = (ROOT / "dashboards/grafana/provisioning/dashboards").glob("*.yml")
    assert "path: /etc/grafana/dashboards" in provider.read_text()


def test_nobody_can_log_in_to_grafana_with_a_password_that_everybody_knows() -> None:
    grafana = SERVICES["grafana"]["environment"]
    assert grafana["GF_SECURITY_DISABLE_INITIAL_ADMIN_CREATION"] == "true"
    assert grafana["GF_AUTH_ANONYMOUS_ORG_ROLE"] == "Viewer"


def test_the_broker_is_set_up_like_the_local_one() -> None:
    ours = server_properties(BrokerOptions(data_dir=Path(), cache_dir=Path()))
    given = {
        name.removeprefix("KAFKA_").lower().replace("_", "."): str(value)
        for name, value in SERVICES["kafka"]["environment"].items()
        if name.startswith("KAFKA_")
    }
    assert not given.keys() - ours.keys()
    same = {name for name in given if "listener" not in name and name not in {"log.dirs", "controller.quorum.voters"}}
    assert {name: given[name] for name in same} == {name: str(ours[name]) for name in same}
    replicated = {name for name in ours if "replication.factor" in name or name.endswith(".min.isr")}
    assert replicated - given.keys() == {"default.replication.factor"}


def test_dependencies_volumes_and_mounted_files_are_there() -> None:
    used = set()
    for service in SERVICES.values():
        assert set(service.get("depends_on", {})) <= SERVICES.keys()
        for mount in service.get("volumes", ()):
            source = with_defaults(mount).split(":")[0]
            if source.startswith("."):
                assert source == "./config" or (ROOT / source).is_dir()
            else:
                used.add(source)
    assert used == COMPOSE["volumes"].keys()


def test_a_process_has_time_for_its_end_and_does_not_restart_for_ever() -> None:
    for name, service in OURS.items():
        assert int(service["stop_grace_period"].removesuffix("s")) > STOP_TIMEOUT_SECONDS
        assert re.fullmatch(r"on-failure:\d+|no", service["restart"]), name
        assert service["read_only"] is True


def test_the_demo_calls_what_exists() -> None:
    (script,) = SERVICES["demo"]["command"]
    compile(script, "docker-compose.yml", "exec")
    for module, name in re.findall(r"^from (\S+) import (\w+)$", script, re.MULTILINE):
        assert hasattr(import_module(module), name)
    port = with_defaults(SERVICES["collect"]["ports"][0]).rpartition(":")[2]
    assert f"http://collect:{port}" in script


def test_the_demo_of_the_documentation_has_its_sources() -> None:
    first = DEPLOY.split("```")[1]
    (path,) = re.findall(r"^echo GOLDENTHREAD_SOURCES_FILE=(\S+) >> \.env", first, re.MULTILINE)
    python = re.search(r"^ARG PYTHON=python:(3\.\d+)-", DOCKERFILE, re.MULTILINE)
    assert python is not None
    site = f"/opt/venv/lib/python{python[1]}/site-packages/"
    assert path.startswith(site)
    assert ROOT / path.removeprefix(site) == SOURCES_FILE
    assert SOURCES_FILE.is_file()
    assert first.index(".env") < first.index("--profile demo")


def test_the_demo_does_not_play_without_sources(monkeypatch: pytest.MonkeyPatch) -> None:
    (script,) = SERVICES["demo"]["command"]
    monkeypatch.setenv("GOLDENTHREAD_SOURCES_FILE", "")
    with pytest.raises(SystemExit, match="GOLDENTHREAD_SOURCES_FILE"):
        exec(script, {})  # noqa: S102 - it is what the container runs.


def test_manifests_of_the_documentation_fit_together_and_set_what_there_is(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (block,) = re.findall(r"^```yaml\n(.*?)^```", DEPLOY, re.MULTILINE | re.DOTALL)
    manifests = list(yaml.safe_load_all(block))
    (settings,) = [manifest["data"] for manifest in manifests if manifest["kind"] == "ConfigMap"]
    monkeypatch.chdir(tmp_path)
    for name, value in settings.items():
        assert name in VARIABLES
        monkeypatch.setenv(name, value)
    loaded = load_settings()
    assert loaded.access_file is not None
    assert loaded.sources_file is not None
    ports = {"goldenthread-worker": loaded.worker_port, "goldenthread-lookup": loaded.lookup_port}
    ports["goldenthread-collect"] = loaded.collect_port
    services = {one["metadata"]["name"]: one["spec"]["ports"][0] for one in manifests if one["kind"] == "Service"}
    assert {name: port["port"] for name, port in services.items()} == ports
    pods = [one["spec"]["template"]["spec"] for one in manifests if one["kind"] in {"Job", "StatefulSet"}]
    assert len(pods) == 2
    assert set(re.findall(r"goldenthread:(\d[\d.]*\d)", DEPLOY)) == {version("goldenthread")}
    for pod in pods:
        # Without it the variables of Services above would be unknown settings.
        assert pod["enableServiceLinks"] is False
        (container,) = pod["containers"]
        assert container["args"][0] in get_command(application).commands  # type: ignore[attr-defined]
        mounts = {mount["mountPath"]: mount["name"] for mount in container["volumeMounts"]}
        assert {str(loaded.access_file.parent), str(loaded.sources_file.parent), "/data", "/tmp"} == mounts.keys()  # noqa: S108
        assert set(mounts.values()) - {volume["name"] for volume in pod["volumes"]} <= {"data"}


def test_the_image_has_the_packages_of_the_wheel_and_what_their_build_needs() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    packages = set(project["tool"]["hatch"]["build"]["targets"]["wheel"]["packages"])
    copied = {
        word for line in re.findall(r"^COPY (?!--from)(.*)$", DOCKERFILE, re.MULTILINE) for word in line.split()[:-1]
    }
    files = {"requirements.txt", "pyproject.toml", project["project"]["readme"], *project["project"]["license-files"]}
    assert copied == packages | files
    allowed = set(re.findall(r"^!(\S+)$", (ROOT / ".dockerignore").read_text(), re.MULTILINE))
    assert allowed == copied
    assert not [name for name in copied if not (ROOT / name).exists()]


def test_the_image_compiles_nothing_and_verifies_what_it_installs() -> None:
    assert "--only-binary :all: --require-hashes" in DOCKERFILE
    assert "--no-index --no-deps --no-build-isolation" in DOCKERFILE
    assert not re.search(r"apt-get|gcc|build-essential|curl ", DOCKERFILE)
