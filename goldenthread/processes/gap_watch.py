"""What keeps a worker from going on where something is gone: looked for before the start, while it runs, at an end."""

import asyncio
from collections.abc import Callable, Mapping
from typing import Final

from agents.stages import stateful_stages
from goldenthread.parts import Parts
from schemas.errors import BrokerUnreachable, GoldenthreadError, OperatorNeeded, StateError
from streams.gap_search import require_no_gaps
from streams.gaps import Cause
from streams.logs import logger
from streams.topics import topic_ids, verify_topics

log = logger(__name__)

# A topic that is made again under a running worker is seen within this long, at the latest.
TOPICS_WATCH_SECONDS: Final = 30.0


class GapWatch:
    """Holds what the group, the changelogs and the logs say against each other."""

    def __init__(self, parts: Parts, *, interval_s: float = TOPICS_WATCH_SECONDS) -> None:
        self._parts = parts
        self._interval_s = interval_s
        self._stages = stateful_stages(parts.catalogue)
        #: Ids of the topics that workers read, once `verify` was called.
        self.topic_ids: Mapping[str, str] = {}
        self._all_ids: Mapping[str, str] = {}

    def verify(self) -> None:
        """Refuse to start with topics that are not as they have to be, or after a gap; blocks.

        Raises:
            TopicError, StateError: what is wrong, and what to do.
            BrokerUnreachable: no answer in time.
        """
        parts = self._parts
        verify_topics(parts.kafka, parts.catalogue)
        require_no_gaps(parts.kafka, parts.settings.application, parts.catalogue, self._stages)
        read = parts.catalogue.read_by_workers()
        self._all_ids = topic_ids(parts.kafka, [*read, *(stage.changelog for stage in self._stages)])
        self.topic_ids = {topic: self._all_ids[topic] for topic in read}

    async def watch(self, fatal: Callable[[BaseException], None]) -> None:
        """End the worker when a topic is made again under it: what it commits would be of the one before."""
        while True:
            await asyncio.sleep(self._interval_s)
            try:
                ids = await asyncio.to_thread(topic_ids, self._parts.kafka, list(self._all_ids))
            except BrokerUnreachable:
                continue
            except GoldenthreadError as error:
                fatal(error)
                return
            changed = sorted(topic for topic, topic_id in ids.items() if topic_id != self._all_ids[topic])
            if changed:
                fatal(StateError(f"{', '.join(changed)}: {Cause.MADE_AGAIN} while the worker ran (docs/gaps.md)"))
                return

    async def explain(self, error: OperatorNeeded) -> None:
        """Raise what the broker's present state says of an error, which is more exact than what a client met.

        Raises:
            OperatorNeeded: with what is gone, or the error itself.
        """
        try:
            await asyncio.to_thread(self.verify)
        except OperatorNeeded as found:
            log.error("an operator is needed", met=str(error), found=str(found))
            raise found from error
        except GoldenthreadError as other:
            log.warning("what is gone can't be told more exactly", reason=str(other))
        raise error
