"""Whether events can be written: a broker answers, and the raw topics are as the catalogue says."""

import asyncio
from collections.abc import Callable
from typing import Final

from connectors.web.standard import ReadyReport
from schemas.errors import BrokerUnreachable, LoginRefused, TopicError
from schemas.topics import Catalogue
from streams.kafka import KafkaOptions
from streams.logs import logger
from streams.topics import topic_ids, verify_topics, wait_for_broker

# One look at the broker blocks a thread, which a stop has to wait for.
PROBE_TIMEOUT_SECONDS: Final = 1.0
# How often a broker that is away is looked for, and one that is there is looked at.
SEARCH_INTERVAL_SECONDS: Final = 0.5
WATCH_INTERVAL_SECONDS: Final = 5.0
_log = logger(__name__)


class BrokerReadiness:
    """Looks for the broker and its topics until they are there, verifies them once, then keeps looking for the broker.

    A topic that is missing is waited for, since whoever makes the topics may start at the same time; one that is wrong
    is not.

    Args:
        probe: Returns when a broker answers, raises `BrokerUnreachable` otherwise. Blocks, in a thread.
        find_topics: Raises `TopicError` when a topic is missing. Blocks, in a thread.
        verify: Raises `TopicError` when a topic is wrong. Blocks, in a thread.
        verify_producer: Raises `RestartNeeded` when the producer can't go on.
    """

    def __init__(
        self,
        *,
        probe: Callable[[], None],
        find_topics: Callable[[], object],
        verify: Callable[[], None],
        verify_producer: Callable[[], None],
    ) -> None:
        self._probe = probe
        self._find_topics = find_topics
        self._verify = verify
        self._verify_producer = verify_producer
        self._report = ReadyReport(("the broker was not looked for yet",))
        #: The topics were verified once. From then on a broker that is away for a moment is waited for by deliveries.
        self.verified = False

    def report(self) -> ReadyReport:
        """What the last look found."""
        return self._report

    async def watch(self) -> None:
        """Look for ever.

        Raises:
            TopicError: a raw topic differs from the catalogue; a restart changes nothing.
            LoginRefused: the broker refuses this client from the start.
            RestartNeeded: the producer can't go on.
        """
        while True:
            await self.look()
            await asyncio.sleep(WATCH_INTERVAL_SECONDS if self._report.ready else SEARCH_INTERVAL_SECONDS)

    async def look(self) -> None:
        """Look once; see `watch` for what it raises."""
        self._verify_producer()
        before = self._report
        missing = await self._missing()
        if not missing and not self.verified:
            await asyncio.to_thread(self._verify)
            self.verified = True
        self._report = ReadyReport((missing,) if missing else ())
        if self._report != before:
            _log.info("broker and topics found" if not missing else "broker or topics missing", reason=missing)

    async def _missing(self) -> str:
        try:
            await asyncio.to_thread(self._probe)
            if not self.verified:
                await asyncio.to_thread(self._find_topics)
        except LoginRefused as error:
            if not self.verified:
                raise
            return str(error)
        except (BrokerUnreachable, TopicError) as error:
            return str(error)
        return ""


def broker_readiness(kafka: KafkaOptions, catalogue: Catalogue, verify_producer: Callable[[], None]) -> BrokerReadiness:
    """Readiness for writing to every raw topic of the catalogue."""
    return BrokerReadiness(
        probe=lambda: wait_for_broker(kafka, PROBE_TIMEOUT_SECONDS),
        find_topics=lambda: topic_ids(kafka, catalogue.raw_topics()),
        verify=lambda: verify_topics(kafka, catalogue, catalogue.raw_topics()),
        verify_producer=verify_producer,
    )
