"""What a broker refuses for want of rights: no waiting and no restart mends it, so it has an error of its own."""

from typing import Final

from confluent_kafka import KafkaError

from schemas.errors import NotAuthorized

_CODES: Final = frozenset(
    {
        KafkaError.CLUSTER_AUTHORIZATION_FAILED,
        KafkaError.GROUP_AUTHORIZATION_FAILED,
        KafkaError.TOPIC_AUTHORIZATION_FAILED,
        KafkaError.TRANSACTIONAL_ID_AUTHORIZATION_FAILED,
    }
)


def require_rights(error: KafkaError, what: str) -> None:
    """Tell a refusal for want of rights from every other error.

    Args:
        error: What the broker answered.
        what: What was asked of it, for the message.

    Raises:
        NotAuthorized: the user of this client may not do this.
    """
    if error.code() in _CODES:
        raise NotAuthorized(f"{what}: {error.str()}; docs/deploy.md lists the rights of each process")
