"""Which requests a broker understands: asked once, for a diagnosis, with the login of every other client."""

import asyncio
from typing import Final, NamedTuple

from aiokafka.conn import create_conn
from aiokafka.errors import KafkaError

from schemas.errors import BrokerUnreachable
from streams.kafka import KafkaOptions

# How long the loop is given to close a socket.
_CLOSING_SECONDS: Final = 0.05


class Requirement(NamedTuple):
    """A request of Kafka's protocol, the version of it that is needed, and what for."""

    key: int
    version: int
    purpose: str


#: What the program can't do without. Metadata of version 10 and a describable cluster came with Kafka 2.8.
REQUIREMENTS: Final = (
    Requirement(0, 7, "producing in current batches"),
    Requirement(1, 11, "fetching committed records"),
    Requirement(3, 10, "ids of topics"),
    Requirement(22, 1, "idempotent and transactional producers"),
    Requirement(24, 1, "transactions"),
    Requirement(26, 1, "ending transactions"),
    Requirement(11, 5, "static membership of workers"),
)


async def _versions(kafka: KafkaOptions, timeout_s: float) -> dict[int, tuple[int, int]]:
    security = kafka.security
    failure = "no address"
    for address in kafka.bootstrap_servers.split(","):
        host, _, port = address.strip().rpartition(":")
        try:
            connection = await create_conn(
                host.strip("[]"),
                int(port),
                client_id=kafka.client_id,
                request_timeout_ms=int(timeout_s * 1000),
                security_protocol=security.protocol.value.upper(),
                ssl_context=security.tls_context(),
                sasl_mechanism=security.sasl_mechanism,
                sasl_plain_username=security.sasl_username,
                sasl_plain_password=security.sasl_password,
            )
        except (KafkaError, OSError, TimeoutError) as error:
            failure = f"{address}: {error}"
            # The socket of a failed handshake is closed by the loop, which must not end before.
            await asyncio.sleep(_CLOSING_SECONDS)
            continue
        try:
            found: dict[int, tuple[int, int]] = dict(connection._versions)  # noqa: SLF001 - it has no other name.
        finally:
            connection.close()
            await asyncio.sleep(_CLOSING_SECONDS)
        return found
    raise BrokerUnreachable(failure)


def api_versions(kafka: KafkaOptions, timeout_s: float) -> dict[int, tuple[int, int]]:
    """The least and the greatest version of each request that a broker takes, by the request's key.

    Raises:
        BrokerUnreachable: none of the brokers answers in time.
    """
    return asyncio.run(_versions(kafka, timeout_s))


def unmet(versions: dict[int, tuple[int, int]]) -> list[Requirement]:
    """The requirements that a broker with these versions does not meet."""
    return [one for one in REQUIREMENTS if versions.get(one.key, (0, -1))[1] < one.version]
