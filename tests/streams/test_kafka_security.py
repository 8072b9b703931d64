"""Goal: one login reaches both libraries, and half a login reaches none. Method: what each is told; real PEM files."""

import ssl
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from confluent_kafka.admin import AdminClient
from faust.transport.drivers.aiokafka import credentials_to_aiokafka_auth

from schemas.errors import SettingError
from streams.kafka import KafkaOptions
from streams.kafka_security import KafkaSecurity, SaslMechanism, SecurityProtocol
from tests.secured_broker import KEY_PASSWORD, Certificates, make_certificates

PASSWORD = "a password for tests only"  # noqa: S105 - it keeps nothing.
SCRAM = KafkaSecurity(
    protocol=SecurityProtocol.SASL_SSL,
    sasl_mechanism=SaslMechanism.SCRAM_SHA_256,
    sasl_username="ann",
    sasl_password=PASSWORD,
)


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    return make_certificates(tmp_path_factory.mktemp("certificates"))


def with_certificate(certificates: Certificates, **changes: Any) -> KafkaSecurity:
    whole = KafkaSecurity(
        protocol=SecurityProtocol.SSL,
        ssl_ca_file=certificates.authority,
        ssl_certificate_file=certificates.client,
        ssl_key_file=certificates.client_key,
        ssl_key_password=KEY_PASSWORD,
    )
    return replace(whole, **changes)


def test_without_settings_nothing_is_encrypted_and_nobody_logs_in() -> None:
    assert KafkaSecurity().properties() == {"security.protocol": "plaintext"}
    assert KafkaSecurity().credentials() is None


def test_a_password_reaches_both_libraries() -> None:
    SCRAM.verify()
    assert SCRAM.properties() == {
        "security.protocol": "sasl_ssl",
        "sasl.mechanism": "SCRAM-SHA-256",
        "sasl.username": "ann",
        "sasl.password": PASSWORD,
        "ssl.endpoint.identification.algorithm": "https",
    }
    told = credentials_to_aiokafka_auth(SCRAM.credentials())
    context = told.pop("ssl_context")
    assert told == {
        "security_protocol": "SASL_SSL",
        "sasl_mechanism": "SCRAM-SHA-256",
        "sasl_plain_username": "ann",
        "sasl_plain_password": PASSWORD,
    }
    assert (context.verify_mode, context.check_hostname) == (ssl.CERT_REQUIRED, True)


def test_a_password_without_tls_reaches_both_libraries_too() -> None:
    plain = replace(SCRAM, protocol=SecurityProtocol.SASL_PLAINTEXT, sasl_mechanism=SaslMechanism.PLAIN)
    told = credentials_to_aiokafka_auth(plain.credentials())
    assert (told["security_protocol"], told["sasl_mechanism"]) == ("SASL_PLAINTEXT", "PLAIN")
    assert told["ssl_context"] is None
    assert "ssl.endpoint.identification.algorithm" not in plain.properties()


def test_a_certificate_reaches_both_libraries(certificates: Certificates) -> None:
    security = with_certificate(certificates)
    security.verify()
    told = credentials_to_aiokafka_auth(security.credentials())
    assert told["security_protocol"] == "SSL"
    assert [one["subject"] for one in told["ssl_context"].get_ca_certs()]
    # librdkafka reads the files when a client is made, and refuses what it can't use.
    AdminClient(KafkaOptions("127.0.0.1:9", security=security, properties={"log_level": "0"}).admin())


def test_every_client_of_librdkafka_is_told() -> None:
    kafka = KafkaOptions("kafka:9092", security=SCRAM)
    for options in (kafka.admin(), kafka.reader(), kafka.producer(), kafka.transactional_producer("t")):
        assert SCRAM.properties().items() <= options.items()


def test_secrets_are_not_shown() -> None:
    assert PASSWORD not in repr(KafkaOptions("kafka:9092", security=SCRAM))
    assert KEY_PASSWORD not in repr(replace(SCRAM, ssl_key_password=KEY_PASSWORD))


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"sasl_password": None}, ["SASL_PASSWORD"]),
        ({"sasl_mechanism": None, "sasl_username": None}, ["SASL_MECHANISM", "SASL_USERNAME"]),
        ({"protocol": SecurityProtocol.PLAINTEXT}, ["SASL_MECHANISM", "SECURITY_PROTOCOL"]),
        ({"protocol": SecurityProtocol.SSL}, ["SASL_PASSWORD", "SECURITY_PROTOCOL"]),
        ({"ssl_key_file": Path("key.pem")}, ["SSL_KEY_FILE", "SSL_CERTIFICATE_FILE"]),
        ({"ssl_certificate_file": Path("client.pem")}, ["SSL_CERTIFICATE_FILE", "SSL_KEY_FILE"]),
        ({"ssl_key_password": "p"}, ["SSL_KEY_PASSWORD", "SSL_KEY_FILE"]),
        ({"ssl_ca_file": Path("nowhere.pem")}, ["SSL_CA_FILE", "nowhere.pem"]),
        (
            {"protocol": SecurityProtocol.SASL_PLAINTEXT, "ssl_ca_file": Path("ca.pem")},
            ["SSL_CA_FILE", "SECURITY_PROTOCOL"],
        ),
    ],
)
def test_half_a_configuration_is_refused_by_its_names(changes: dict[str, Any], named: list[str]) -> None:
    with pytest.raises(SettingError) as refused:
        replace(SCRAM, **changes).verify()
    assert all(name in str(refused.value) for name in named)
    assert PASSWORD not in str(refused.value)


def test_files_that_do_not_belong_together_are_refused(certificates: Certificates, tmp_path: Path) -> None:
    text = tmp_path / "text.pem"
    text.write_text("no certificate")
    for changes, named in (
        ({"ssl_ca_file": text}, "SSL_CA_FILE"),
        ({"ssl_key_password": "another"}, "SSL_KEY_PASSWORD"),
        ({"ssl_key_password": None}, "SSL_KEY_PASSWORD"),
        ({"ssl_certificate_file": certificates.authority}, "SSL_CERTIFICATE_FILE"),
    ):
        with pytest.raises(SettingError, match=named):
            with_certificate(certificates, **changes).verify()
