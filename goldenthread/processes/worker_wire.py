"""The worker and its schema registry: the form of what goes out, the schemas of what comes in, and what waits."""

import asyncio
import threading
from collections.abc import Callable
from typing import Final

from goldenthread.parts import Parts, registry_of
from schemas.errors import GoldenthreadError, RegistryAway
from streams.logs import logger
from streams.registry import WriterSchemas, register_public, wait_for_ids
from streams.registry_away import Away
from streams.registry_client import RegistryClient
from streams.stateless import Prepare
from streams.wire import Wire
from streams.wire_input import WireInput, without_registry

log = logger(__name__)

# As for the broker: the registry may come long after the worker.
REGISTRY_WAIT_SECONDS: Final = 3600.0
# While things go on without the registry, it is asked again after this long.
ASK_AGAIN_SECONDS: Final = 10.0
WAITING: Final = "the worker waits for the schema registry"


class WorkerWire:
    """What one worker has of a schema registry; without one, JSON goes out and no Avro comes in."""

    def __init__(self, parts: Parts) -> None:
        settings = parts.settings
        self._catalogue = parts.catalogue
        self._away = settings.schema_registry_away
        # Whoever calls these asks again, and shall not wait long for one answer.
        self._client = registry_of(settings, tries_max=1)
        self._input = None if self._client is None else WireInput(WriterSchemas(self._client), self._away)
        self.wire = Wire()

    @property
    def read_framed(self) -> Callable[[bytes], bytes]:
        """What makes JSON of framed Avro."""
        return without_registry if self._input is None else self._input.json

    @property
    def prepare(self) -> Prepare | None:
        """What is done before a batch is handled."""
        return None if self._input is None else self._input.prepare

    @property
    def reasons(self) -> tuple[str, ...]:
        """Why the worker is not ready, as far as it is the registry's doing."""
        waiting = None if self._input is None else self._input.waiting
        return () if waiting is None else (f"events wait for their schemas: {waiting}",)

    async def settle(self) -> None:
        """Know the ids that public records go out with; with `go_on`, as far as the registry says so at once.

        Raises:
            RegistryAway: it did not answer for REGISTRY_WAIT_SECONDS.
            RegistryRefused: it does not take our schemas, or does not let this worker in.
        """
        if self._client is None:
            return
        if self._away is Away.GO_ON:
            try:
                self.wire.use(await asyncio.to_thread(register_public, self._client, self._catalogue))
            except RegistryAway as error:
                log.warning("public topics go out as JSON until the schema registry answers", reason=str(error))
            return
        stopping = threading.Event()
        try:
            ids = await asyncio.to_thread(
                wait_for_ids, self._client, self._catalogue, stopping, timeout_s=REGISTRY_WAIT_SECONDS
            )
        finally:
            stopping.set()
        if ids is not None:
            self.wire.use(ids)

    async def keep_asking(self, fatal: Callable[[BaseException], None]) -> None:
        """With `go_on`, ask until the ids are known; a refusal ends the worker."""
        while self._client is not None and not self.wire.is_avro:
            await asyncio.sleep(ASK_AGAIN_SECONDS)
            await self._ask_again(self._client, fatal)

    async def _ask_again(self, client: RegistryClient, fatal: Callable[[BaseException], None]) -> None:
        try:
            self.wire.use(await asyncio.to_thread(register_public, client, self._catalogue))
        except RegistryAway:
            return
        except GoldenthreadError as error:
            fatal(error)
            raise
        if self._input is not None:
            self._input.ask_now()
        log.info("public topics go out as Avro from now on")

    def close(self) -> None:
        """Let go of the registry."""
        if self._input is not None:
            self._input.close()
