"""What the processes want of a schema registry: the ids of our own schemas, and anybody's schemas by their ids."""

import threading
import time
from collections.abc import Collection
from typing import Final

from schemas.avro.public_schemas import public_schemas, subject_of
from schemas.avro.reading import AvroReader
from schemas.errors import DeadCode, EventError, RegistryAway, UnusableSchemaError
from schemas.limits import EVENT_SIZE_BYTES_MAX
from schemas.topics import Catalogue, Topic
from streams.logs import logger
from streams.registry_client import RegisteredSchema, RegistryClient

log = logger(__name__)

# Readers that are kept: more ids than any installation has in use at a time.
READERS_MAX: Final = 1_000
# A registry that is away is asked again after this long; it is said at once, then so often.
RETRY_SECONDS: Final = 1.0
TELL_SECONDS: Final = 60.0


def register_public(client: RegistryClient, catalogue: Catalogue) -> dict[Topic, int]:
    """The ids of our schemas under the subjects of the public topics, registered where they were not.

    A schema is looked up first, so that a former version goes on beside a newer one, whatever is the latest.

    Raises:
        RegistryAway: the registry did not answer in time.
        RegistryRefused: it does not take a schema, or does not let this client in.
    """
    ids = {}
    for topic, public in public_schemas().items():
        subject = subject_of(catalogue.name(topic))
        known = client.lookup(subject, public.text)
        ids[topic] = client.register(subject, public.text) if known is None else known
    return ids


def wait_for_ids(
    client: RegistryClient, catalogue: Catalogue, stopping: threading.Event, *, timeout_s: float
) -> dict[Topic, int] | None:
    """As `register_public`, waiting while the registry is away; None when told to stop. Blocks.

    Raises:
        RegistryAway: it did not answer for `timeout_s` seconds.
        RegistryRefused: as `register_public`.
    """
    deadline, told = time.monotonic() + timeout_s, float("-inf")
    while not stopping.is_set():
        try:
            return register_public(client, catalogue)
        except RegistryAway as error:
            if time.monotonic() > deadline:
                raise
            if time.monotonic() - told > TELL_SECONDS:
                told = time.monotonic()
                log.warning("waiting for the schema registry", reason=str(error))
            stopping.wait(RETRY_SECONDS)
    return None


class WriterSchemas:
    """Readers of the schemas that records were written with, by id; an id means the same for ever.

    `fetch` blocks, and may be called by several threads, for an id each; the rest belongs to one.

    Args:
        client: The registry; None where none is configured.
        size_bytes_max: The largest body that a reader takes.
    """

    def __init__(self, client: RegistryClient | None, size_bytes_max: int = EVENT_SIZE_BYTES_MAX) -> None:
        self._client = client
        self._size_bytes_max = size_bytes_max
        self._readers: dict[int, AvroReader | EventError] = {}

    def missing(self, ids: Collection[int]) -> set[int]:
        """Those of the ids that nothing is known of yet."""
        return set() if self._client is None else {each for each in ids if each not in self._readers}

    def fetch(self, schema_id: int) -> AvroReader | EventError:
        """The reader of a schema, or why there is none: the answer is kept if it is for ever.

        Raises:
            RegistryAway: the registry did not answer in time.
            RegistryRefused: it does not let this client in.
        """
        known = self._readers.get(schema_id)
        if known is not None:
            return known
        if self._client is None:
            return EventError(DeadCode.UNKNOWN_SCHEMA, "Avro, but no schema registry is configured")
        try:
            registered = self._client.schema(schema_id)
        except UnusableSchemaError as error:
            # What it names may be registered at any time.
            return _unusable(schema_id, error)
        if registered is None:
            # It may be registered at any time.
            return EventError(DeadCode.UNKNOWN_SCHEMA, f"the schema registry knows no schema {schema_id}")
        found = _reader(schema_id, registered, self._size_bytes_max)
        self._readers[schema_id] = found
        return found

    def keep(self, ids: Collection[int]) -> None:
        """Forget the oldest readers past the bound, but none of these."""
        for schema_id in list(self._readers):
            if len(self._readers) <= READERS_MAX:
                return
            if schema_id not in ids:
                del self._readers[schema_id]


def _reader(schema_id: int, registered: RegisteredSchema, size_bytes_max: int) -> AvroReader | EventError:
    if registered.format != "AVRO":
        message = f"schema {schema_id} is {registered.format[:32]}; only Avro can be read"
        return EventError(DeadCode.UNKNOWN_SCHEMA, message)
    try:
        return AvroReader(registered.text, registered.references, size_bytes_max)
    except UnusableSchemaError as error:
        return _unusable(schema_id, error)


def _unusable(schema_id: int, error: UnusableSchemaError) -> EventError:
    return EventError(DeadCode.UNKNOWN_SCHEMA, f"schema {schema_id} can't be used: {error}")
