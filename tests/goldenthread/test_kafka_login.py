"""Goal: the settings of a Kafka login are read, held together and passed on. Method: an environment of its own."""

import pytest

from goldenthread.parts import kafka_of
from goldenthread.settings import PREFIX, load_settings
from schemas.errors import SettingError
from streams.kafka_security import KafkaSecurity, SaslMechanism, SecurityProtocol

PASSWORD = "a password for tests only"  # noqa: S105 - it keeps nothing.
LOGIN = {
    "KAFKA_BOOTSTRAP_SERVERS": "kafka:9092",
    f"{PREFIX}KAFKA_SECURITY_PROTOCOL": "SASL_PLAINTEXT",
    f"{PREFIX}KAFKA_SASL_MECHANISM": "scram-sha-512",
    f"{PREFIX}KAFKA_SASL_USERNAME": "ann",
    f"{PREFIX}KAFKA_SASL_PASSWORD": PASSWORD,
}


@pytest.fixture(autouse=True)
def environment(clean_environment: None, monkeypatch: pytest.MonkeyPatch) -> None:  # noqa: ARG001 - goes before.
    for name, value in LOGIN.items():
        monkeypatch.setenv(name, value)


def test_settings_in_either_case_become_the_login_of_every_client() -> None:
    assert kafka_of(load_settings(), "worker").security == KafkaSecurity(
        protocol=SecurityProtocol.SASL_PLAINTEXT,
        sasl_mechanism=SaslMechanism.SCRAM_SHA_512,
        sasl_username="ann",
        sasl_password=PASSWORD,
    )


def test_half_a_login_is_refused_by_its_name(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(f"{PREFIX}KAFKA_SASL_PASSWORD")
    with pytest.raises(SettingError, match=f"{PREFIX}KAFKA_SASL_PASSWORD"):
        load_settings()


def test_the_local_broker_has_no_login(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("KAFKA_BOOTSTRAP_SERVERS")
    with pytest.raises(SettingError, match="KAFKA_BOOTSTRAP_SERVERS: the local broker is plaintext"):
        load_settings()


def test_passwords_are_masked() -> None:
    assert PASSWORD not in repr(load_settings())
    assert PASSWORD not in str(load_settings().model_dump())
