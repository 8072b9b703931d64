"""A Kafka that lets nobody in without password or certificate: TLS, SCRAM, and access control by the docs' table."""

import datetime as dt
import ipaddress
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final, NamedTuple

from confluent_kafka.admin import (
    AclBinding,
    AclOperation,
    AclPermissionType,
    AdminClient,
    ResourcePatternType,
    ResourceType,
    ScramCredentialInfo,
    ScramMechanism,
    UserScramCredentialUpsertion,
)
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, EllipticCurvePrivateKey, generate_private_key
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import BestAvailableEncryption, Encoding, NoEncryption, PrivateFormat

from streams.broker.configuration import SERVER_PROPERTIES
from streams.broker.local_broker import LocalBroker
from streams.broker.options import LOOPBACK, BrokerOptions

KEY_PASSWORD: Final = "the key's own password"  # noqa: S105 - it keeps nothing.
#: Who may do anything: the test itself on the listener without login, and the client with the certificate.
_CERTIFICATE_NAME: Final = "goldenthread"
_SCRAM_ITERATIONS: Final = 4096
_ADMIN_TIMEOUT_S: Final = 30.0
_DEPLOY: Final = Path(__file__).parents[1] / "docs" / "deploy.md"


class Pair(NamedTuple):
    """A certificate and its key."""

    certificate: x509.Certificate
    key: EllipticCurvePrivateKey


@dataclass(frozen=True)
class Certificates:
    """PEM files of an authority, of a broker on loopback, of a client, and of an authority that nobody trusts."""

    folder: Path

    @property
    def authority(self) -> Path:
        """What the broker's certificate leads to."""
        return self.folder / "ca.pem"

    @property
    def stranger(self) -> Path:
        """Another authority."""
        return self.folder / "stranger.pem"

    @property
    def broker(self) -> Path:
        """Key and certificate of the broker in one file, as its PEM key store wants them."""
        return self.folder / "broker.pem"

    @property
    def client(self) -> Path:
        """The client's certificate."""
        return self.folder / "client.pem"

    @property
    def client_key(self) -> Path:
        """The client's key, encrypted with KEY_PASSWORD."""
        return self.folder / "client.key"


def make_certificates(folder: Path) -> Certificates:
    """Write all of them."""
    made = Certificates(folder)
    authority, stranger = _issue("an authority"), _issue("another authority")
    broker, client = _issue("broker", authority), _issue(_CERTIFICATE_NAME, authority)
    made.authority.write_bytes(_pem(authority))
    made.stranger.write_bytes(_pem(stranger))
    made.broker.write_bytes(_key_pem(broker) + _pem(broker))
    made.client.write_bytes(_pem(client))
    made.client_key.write_bytes(_key_pem(client, KEY_PASSWORD))
    return made


def _issue(name: str, issuer: Pair | None = None) -> Pair:
    key = generate_private_key(SECP256R1())
    subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)])
    now = dt.datetime.now(dt.UTC)
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject if issuer is None else issuer.certificate.subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - dt.timedelta(hours=1))
        .not_valid_after(now + dt.timedelta(days=1))
        .add_extension(x509.BasicConstraints(ca=issuer is None, path_length=None), critical=True)
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address(LOOPBACK))]), critical=False)
    )
    return Pair(builder.sign(key if issuer is None else issuer.key, SHA256()), key)


def _pem(pair: Pair) -> bytes:
    return pair.certificate.public_bytes(Encoding.PEM)


def _key_pem(pair: Pair, password: str | None = None) -> bytes:
    encryption = NoEncryption() if password is None else BestAvailableEncryption(password.encode())
    return pair.key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, encryption)


@dataclass(frozen=True)
class SecuredBroker:
    """A running one: addresses of its listeners."""

    open: str
    scram: str
    certificate: str


@contextmanager
def secured_broker(options: BrokerOptions, certificates: Certificates, ports: Sequence[int]) -> Iterator[SecuredBroker]:
    """Start it; `ports` are those of the listeners with SCRAM and with certificates."""
    broker = LocalBroker(options)
    broker.prepare()
    try:
        with (options.data_dir / SERVER_PROPERTIES).open("a") as file:
            file.write(_properties(options, certificates, ports))
        broker.start()
        broker.wait_ready()
        yield SecuredBroker(options.bootstrap_servers, *(f"{LOOPBACK}:{port}" for port in ports))
    finally:
        broker.close()


def _properties(options: BrokerOptions, certificates: Certificates, ports: Sequence[int]) -> str:
    """Java reads the last line of a name, so these replace what the local broker has."""
    scram, certificate = (f"://{LOOPBACK}:{port}" for port in ports)
    advertised = f"PLAINTEXT://{options.bootstrap_servers},SASL_SSL{scram},SSL{certificate}"
    lines = {
        "listeners": f"{advertised},CONTROLLER://{LOOPBACK}:{options.controller_port}",
        "advertised.listeners": advertised,
        "listener.security.protocol.map": "PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT,SASL_SSL:SASL_SSL,SSL:SSL",
        "sasl.enabled.mechanisms": "SCRAM-SHA-512",
        "listener.name.sasl_ssl.scram-sha-512.sasl.jaas.config": (
            "org.apache.kafka.common.security.scram.ScramLoginModule required;"
        ),
        "ssl.keystore.type": "PEM",
        "ssl.keystore.location": certificates.broker,
        "ssl.truststore.type": "PEM",
        "ssl.truststore.location": certificates.authority,
        "listener.name.ssl.ssl.client.auth": "required",
        "authorizer.class.name": "org.apache.kafka.metadata.authorizer.StandardAuthorizer",
        "super.users": f"User:ANONYMOUS;User:CN={_CERTIFICATE_NAME}",
    }
    return "".join(f"{name}={value}\n" for name, value in lines.items())


def add_user(broker: SecuredBroker, name: str, password: str) -> None:
    """A user that may do nothing yet."""
    admin = AdminClient({"bootstrap.servers": broker.open})
    info = ScramCredentialInfo(ScramMechanism.SCRAM_SHA_512, _SCRAM_ITERATIONS)
    upsertion = UserScramCredentialUpsertion(name, info, password.encode())
    for future in admin.alter_user_scram_credentials([upsertion]).values():
        future.result(_ADMIN_TIMEOUT_S)


def documented_rights() -> list[tuple[str, str, str, list[str]]]:
    """User, resource, name and operations of each row of the table in docs/deploy.md; names may end in `*`."""
    rows = re.findall(r"^\| `(gt-\w+)` \| (\w+) \| `([^`]+)` \| ([\w, ]+) \|$", _DEPLOY.read_text(), re.MULTILINE)
    return [(user, resource, name, operations.split(", ")) for user, resource, name, operations in rows]


def grant(broker: SecuredBroker, rights: Sequence[tuple[str, str, str, list[str]]]) -> None:
    """Allow what the table says, and nothing else."""
    bindings = [
        AclBinding(
            {"topic": ResourceType.TOPIC, "group": ResourceType.GROUP, "transaction": ResourceType.TRANSACTIONAL_ID}[
                resource
            ],
            name.removesuffix("*"),
            ResourcePatternType.PREFIXED if name.endswith("*") else ResourcePatternType.LITERAL,
            f"User:{user}",
            "*",
            AclOperation[re.sub(r"(?<=[a-z])(?=[A-Z])", "_", operation).upper()],
            AclPermissionType.ALLOW,
        )
        for user, resource, name, operations in rights
        for operation in operations
    ]
    admin = AdminClient({"bootstrap.servers": broker.open})
    for future in admin.create_acls(bindings).values():
        future.result(_ADMIN_TIMEOUT_S)
