"""Every process of ours through a Kafka that demands TLS, a password and rights, and what a refusal says.

The rights are those of docs/deploy.md, read from its table, so that the table is neither too short nor a guess.
"""

import json
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any, Final

import pytest

from schemas.errors import BrokerUnreachable, LoginRefused, NoBroker
from streams.broker.options import BrokerOptions
from streams.broker_features import api_versions
from streams.kafka import KafkaOptions
from streams.kafka_security import KafkaSecurity, SaslMechanism, SecurityProtocol
from streams.topics import wait_for_broker
from tests.conftest import FreePorts
from tests.running_system import SETTINGS_WITH_PORTS, RunningSystem, request
from tests.secured_broker import (
    KEY_PASSWORD,
    Certificates,
    SecuredBroker,
    add_user,
    documented_rights,
    grant,
    make_certificates,
    secured_broker,
)
from tests.waiting import wait_until

pytestmark = pytest.mark.kafka

PASSWORD: Final = "a password for tests only"  # noqa: S105 - it keeps nothing.
#: A refusal has to be told in this time, the start of Python included, on a machine that others use too.
REFUSAL_S_MAX: Final = 30.0
USAGE: Final = 2
OPERATOR: Final = 4
PREFIX: Final = "GOLDENTHREAD_KAFKA_"


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    return make_certificates(tmp_path_factory.mktemp("certificates"))


@pytest.fixture(scope="module")
def secured(
    certificates: Certificates, cache_dir: Path, free_ports: FreePorts, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[SecuredBroker]:
    """One with the documented users and rights."""
    port, controller_port, *others = free_ports(4)
    options = BrokerOptions(
        data_dir=tmp_path_factory.mktemp("secured"), cache_dir=cache_dir, port=port, controller_port=controller_port
    )
    with secured_broker(options, certificates, others) as broker:
        rights = documented_rights()
        for user in {right[0] for right in rights}:
            add_user(broker, user, PASSWORD)
        grant(broker, rights)
        yield broker


@pytest.fixture(scope="module")
def system(
    secured: SecuredBroker, certificates: Certificates, free_ports: FreePorts, tmp_path_factory: pytest.TempPathFactory
) -> RunningSystem:
    """Settings for all its commands, and topics; each process is started by hand, under its own user."""
    folder = tmp_path_factory.mktemp("system")
    settings = {
        "KAFKA_BOOTSTRAP_SERVERS": secured.scram,
        f"{PREFIX}SECURITY_PROTOCOL": "SASL_SSL",
        f"{PREFIX}SASL_MECHANISM": "SCRAM-SHA-512",
        f"{PREFIX}SASL_PASSWORD": PASSWORD,
        f"{PREFIX}SSL_CA_FILE": str(certificates.authority),
    }
    made = RunningSystem(folder, free_ports(len(SETTINGS_WITH_PORTS)), settings)
    init = made.run("init", **user("gt-init"))
    assert init.returncode == 0, init.stderr
    return made


def user(name: str) -> dict[str, str]:
    return {f"{PREFIX}SASL_USERNAME": name}


@contextmanager
def running(system: RunningSystem, name: str, **settings: str) -> Iterator["subprocess.Popen[bytes]"]:
    """A process of ours, until the test is over."""
    with (system.folder / f"{name}.log").open("ab") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "goldenthread", name], cwd=system.folder, env=system.environment | settings,
            stdin=subprocess.DEVNULL, stdout=log, stderr=log,
        )  # fmt: skip
        try:
            yield process
        finally:
            process.terminate()
            process.wait(60)


def ready(url: str) -> bool:
    try:
        return request("GET", f"{url}/readyz").status == 200
    except OSError:
        return False


def ready_or_ended(url: str, process: "subprocess.Popen[bytes]") -> bool:
    return ready(url) or process.poll() is not None


def examine(system: RunningSystem) -> bool:
    """Whether the doctor finds no problem; a check that was cut off, on a machine that is busy, may be made again."""
    ended = system.run("doctor", "--json", **user("gt-lookup"))
    problems = [one for one in json.loads(ended.stdout)["findings"] if one["status"] == "problem"]
    assert not [one for one in problems if not one["found"].startswith("no answer within")], problems
    assert ended.returncode == int(bool(problems)), ended.stderr
    return not problems


def test_every_process_works_with_its_documented_rights_alone(system: RunningSystem) -> None:
    urls = {"worker": system.worker_url, "collect": system.collect_url, "lookup": system.lookup_url}
    urls["admin"] = system.admin_url
    with ExitStack() as stack:
        processes = {name: stack.enter_context(running(system, name, **user(f"gt-{name}"))) for name in urls}
        for name, process in processes.items():
            wait_until(partial(ready_or_ended, urls[name], process), f"a ready {name}")
            assert process.poll() is None, (system.folder / f"{name}.log").read_text()
        event = {
            "specversion": "1.0", "id": "e-1", "source": "shop", "type": "page.viewed", "channel": "web",
            "time": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
            "data": {"identifiers": {"email": "secured@example.com"}},
        }  # fmt: skip
        system.send(event)
        wait_until(lambda: system.lookup(("email", "secured@example.com")).status == 200, "a context")
        system.wait_quiet()
        wait_until(lambda: examine(system), "a doctor that finds no problem")
    said = "".join((system.folder / f"{name}.log").read_text() for name in urls)
    assert "uthoriz" not in said
    assert PASSWORD not in said


def test_a_client_certificate_lets_both_libraries_in(
    system: RunningSystem, secured: SecuredBroker, certificates: Certificates, tmp_path: Path
) -> None:
    settings = {
        "KAFKA_BOOTSTRAP_SERVERS": secured.certificate,
        f"{PREFIX}SECURITY_PROTOCOL": "ssl",
        f"{PREFIX}SASL_MECHANISM": "",
        f"{PREFIX}SASL_PASSWORD": "",
        f"{PREFIX}SSL_CERTIFICATE_FILE": str(certificates.client),
        f"{PREFIX}SSL_KEY_FILE": str(certificates.client_key),
        f"{PREFIX}SSL_KEY_PASSWORD": KEY_PASSWORD,
        "GOLDENTHREAD_DATA_DIR": str(tmp_path),
    }
    init = system.run("init", **settings)
    assert init.returncode == 0, init.stderr
    with running(system, "worker", **settings):
        wait_until(lambda: ready(system.worker_url), "a ready worker")


# These two wait for a broker in loops of their own, which a refusal has to end; the others ask once.
@pytest.mark.parametrize("command", ["collect", "lookup"])
def test_a_wrong_password_ends_a_process_and_names_the_settings(system: RunningSystem, command: str) -> None:
    began = time.monotonic()
    ended = system.run(command, **user(f"gt-{command}"), **{f"{PREFIX}SASL_PASSWORD": "not this one"})
    assert ended.returncode == USAGE, ended.stderr
    assert f"{PREFIX}SASL_PASSWORD" in ended.stderr
    assert "refuses this client" in ended.stderr
    assert "not this one" not in ended.stderr
    assert time.monotonic() - began < REFUSAL_S_MAX


def login(certificates: Certificates, **changes: Any) -> KafkaSecurity:
    right = KafkaSecurity(
        protocol=SecurityProtocol.SASL_SSL,
        sasl_mechanism=SaslMechanism.SCRAM_SHA_512,
        sasl_username="gt-init",
        sasl_password=PASSWORD,
        ssl_ca_file=certificates.authority,
    )
    return replace(right, **changes)


def test_a_broker_of_another_authority_is_not_trusted(secured: SecuredBroker, certificates: Certificates) -> None:
    kafka = KafkaOptions(secured.scram, security=login(certificates, ssl_ca_file=certificates.stranger))
    with pytest.raises(LoginRefused, match=f"certificate.*{PREFIX}SSL_CA_FILE"):
        wait_for_broker(kafka, REFUSAL_S_MAX)


def test_a_broker_under_another_name_is_not_trusted(secured: SecuredBroker, certificates: Certificates) -> None:
    renamed = secured.scram.replace("127.0.0.1", "localhost")
    with pytest.raises(LoginRefused, match="certificate"):
        wait_for_broker(KafkaOptions(renamed, security=login(certificates)), REFUSAL_S_MAX)


def test_the_other_library_trusts_no_other_authority_or_name_either(
    secured: SecuredBroker, certificates: Certificates
) -> None:
    assert api_versions(KafkaOptions(secured.scram, security=login(certificates)), REFUSAL_S_MAX)
    strange = KafkaOptions(secured.scram, security=login(certificates, ssl_ca_file=certificates.stranger))
    renamed = KafkaOptions(secured.scram.replace("127.0.0.1", "localhost"), security=login(certificates))
    for kafka in (strange, renamed):
        with pytest.raises(BrokerUnreachable, match="CERTIFICATE_VERIFY_FAILED"):
            api_versions(kafka, REFUSAL_S_MAX)


def test_a_client_without_tls_is_told_what_it_speaks(secured: SecuredBroker) -> None:
    with pytest.raises(NoBroker, match=rf"in plaintext \({PREFIX}SECURITY_PROTOCOL\)"):
        wait_for_broker(KafkaOptions(secured.scram), 1.0)


def test_the_doctor_says_which_settings_are_wrong(system: RunningSystem) -> None:
    ended = system.run("doctor", "--json", **user("gt-lookup"), **{f"{PREFIX}SASL_PASSWORD": "not this one"})
    assert ended.returncode == 1, ended.stderr
    (problem,) = (one for one in json.loads(ended.stdout)["findings"] if one["status"] == "problem")
    assert problem["check"] == "broker"
    assert f"{PREFIX}SASL_PASSWORD" in problem["found"]


def test_rights_that_are_missing_are_named(system: RunningSystem) -> None:
    """Collect's user may not read, nor take part in a group: no restart mends that, and no waiting."""
    for command in (("tail", "context", "--no-follow", "--from-beginning"), ("worker",), ("lookup",)):
        ended = system.run(*command, **user("gt-collect"))
        assert ended.returncode == OPERATOR, ended.stderr
        assert "docs/deploy.md" in ended.stderr
