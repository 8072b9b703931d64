"""Framed Avro that comes in: schemas are fetched before a batch is handled, so that handling never waits.

While the registry is away, records of a schema that is not known yet wait, without a hold on the event loop; or, where
the settings say that things go on, they become dead letters that keep the original.
"""

import asyncio
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Final

from schemas.avro.framing import FRAME_SIZE_BYTES, is_framed, schema_id_of
from schemas.avro.reading import AvroReader
from schemas.errors import DeadCode, EventError, RegistryAway, RegistryRefused, RestartNeeded
from streams.logs import logger
from streams.registry import RETRY_SECONDS, TELL_SECONDS, WriterSchemas
from streams.registry_away import Away
from streams.registry_client import URL_SETTING

log = logger(__name__)

# A batch may wait so long for the registry; then the worker ends, and waits for it at its next start.
WAIT_SECONDS_MAX: Final = 300.0
# While things go on without the registry, it is asked again after this long at the soonest.
PAUSE_SECONDS: Final = 10.0
# A registry that hangs holds up these threads, and none that writes a checkpoint.
_THREADS: Final = 4


class WireInput:
    """Reads framed values of the batch that was prepared last.

    Args:
        schemas: Schemas by their ids.
        away: What happens while the registry is away.
        wait_s: How long a batch may wait.
        retry_s: How long between two questions to a registry that is away.
        pause_s: As `retry_s`, while things go on without it.
    """

    def __init__(
        self,
        schemas: WriterSchemas,
        away: Away = Away.WAIT,
        *,
        wait_s: float = WAIT_SECONDS_MAX,
        retry_s: float = RETRY_SECONDS,
        pause_s: float = PAUSE_SECONDS,
    ) -> None:
        self._schemas = schemas
        self._away = away
        self._wait_s = wait_s
        self._retry_s = retry_s
        self._pause_s = pause_s
        self._batch: dict[int, AvroReader | EventError] = {}
        self._ask_at_s = float("-inf")
        self._told_s = float("-inf")
        self._executor = ThreadPoolExecutor(_THREADS, thread_name_prefix="schema-registry")
        #: Why a batch waits; None while none does.
        self.waiting: str | None = None

    async def prepare(self, records: Sequence[Any], wanted: Callable[[], bool]) -> bool:
        """Know every schema that the records were written with, as far as there is one.

        Returns False, with nothing prepared, once the records are not wanted any more: another worker reads them.

        Raises:
            RestartNeeded: the registry did not answer for `wait_s` seconds.
            RegistryRefused: it does not let this client in.
        """
        ids = {schema_id for record in records if (schema_id := _id_of(record.value)) is not None}
        if not ids and not self._batch:
            return True
        self._schemas.keep(ids)
        self._batch = {}
        deadline = time.monotonic() + self._wait_s
        try:
            while not await self._fetched(ids):
                if self._away is Away.GO_ON:
                    return True
                if time.monotonic() > deadline:
                    raise RestartNeeded(f"events wait for their schemas since {self._wait_s:.0f} s: {self.waiting}")
                await asyncio.sleep(self._retry_s)
                if not wanted():
                    return False
        finally:
            self.waiting = None
        return True

    def json(self, value: bytes) -> bytes:
        """The JSON of a framed value of the batch.

        Raises:
            EventError: `broken_avro`, `unknown_schema` or `registry_away`, or what its reader says.
        """
        schema_id = schema_id_of(value)
        reader = self._batch.get(schema_id)
        if reader is None:
            raise EventError(DeadCode.REGISTRY_AWAY, f"the registry could not be asked for schema {schema_id}")
        if isinstance(reader, EventError):
            raise EventError(reader.code, reader.message)
        return reader.json(memoryview(value)[FRAME_SIZE_BYTES:])

    def ask_now(self) -> None:
        """The registry answers again: the next batch that needs it may ask."""
        self._ask_at_s = float("-inf")

    def close(self) -> None:
        """Let the threads end."""
        self._executor.shutdown(wait=False, cancel_futures=True)

    async def _fetched(self, ids: set[int]) -> bool:
        """Whether all is known of the schemas now that can be known."""
        missing = self._schemas.missing(ids)
        # What is kept, and what no registry is needed to say, comes without a question.
        self._batch |= {each: self._schemas.fetch(each) for each in ids - missing}
        waiting = sorted(missing - self._batch.keys())
        if not waiting or time.monotonic() < self._ask_at_s:
            return not waiting
        for start in range(0, len(waiting), _THREADS):
            piece = waiting[start : start + _THREADS]
            answers = await asyncio.gather(*map(self._fetch, piece))
            self._batch |= {each: answer for each, answer in zip(piece, answers, strict=True) if answer is not None}
            if None in answers:
                return False
        return True

    async def _fetch(self, schema_id: int) -> AvroReader | EventError | None:
        """What is said of a schema; None where nothing was."""
        loop = asyncio.get_running_loop()
        try:
            return await loop.run_in_executor(self._executor, self._schemas.fetch, schema_id)
        except RegistryAway as error:
            self._tell(str(error))
        except RegistryRefused as error:
            if self._away is Away.WAIT:
                raise
            self._tell(str(error))
        return None

    def _tell(self, reason: str) -> None:
        self.waiting = reason
        now = time.monotonic()
        if self._away is Away.GO_ON:
            self._ask_at_s = now + self._pause_s
        if now - self._told_s > TELL_SECONDS:
            self._told_s = now
            log.warning("Avro came whose schema can't be asked for", away=self._away.value, reason=reason)


def _id_of(value: bytes | None) -> int | None:
    """The id of a framed value; None for any other, and for one that is too short to have one."""
    if not is_framed(value):
        return None
    try:
        return schema_id_of(value)
    except EventError:
        return None


def without_registry(value: bytes) -> bytes:
    """What stands for `WireInput.json` where no registry is configured.

    Raises:
        EventError: always.
    """
    schema_id = schema_id_of(value)
    message = f"Avro of schema {schema_id}, but no schema registry is configured ({URL_SETTING})"
    raise EventError(DeadCode.UNKNOWN_SCHEMA, message)
