"""How a service that listens already waits for its broker and topics, however long that takes."""

import asyncio
from typing import Final

from schemas.errors import BrokerUnreachable, LoginRefused
from schemas.topics import Catalogue
from streams.kafka import KafkaOptions
from streams.logs import logger
from streams.topics import verify_topics, wait_for_broker

log = logger(__name__)

_BROKER_WAIT_SECONDS: Final = 1.0
_RETRY_SECONDS: Final = 1.0


async def topics_verified(service: str, kafka: KafkaOptions, catalogue: Catalogue) -> None:
    """Return once the broker answers and its topics are as the catalogue says.

    Raises:
        TopicError: a topic is missing or otherwise.
        LoginRefused: the broker refuses this client.
    """
    told = False
    while True:
        try:
            # A stop waits for what a thread is at, so the long requests are for a broker that answers.
            await asyncio.to_thread(wait_for_broker, kafka, _BROKER_WAIT_SECONDS)
            await asyncio.to_thread(verify_topics, kafka, catalogue)
        except LoginRefused:
            raise
        except BrokerUnreachable as error:
            if not told:
                log.warning("the service waits for the broker", service=service, reason=str(error))
            told = True
            await asyncio.sleep(_RETRY_SECONDS)
        else:
            return
