"""How our own readers take public records: JSON as it is, framed Avro as the JSON that it was made of."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Final

from schemas.avro.framing import FRAME_SIZE_BYTES, is_framed, schema_id_of
from schemas.errors import EventError, RegistryRefused
from state.engine import StoredRows
from streams.bulk import Record
from streams.follower import Projection
from streams.kafka import MESSAGE_SIZE_BYTES_MAX
from streams.logs import logger
from streams.registry import WriterSchemas
from streams.registry_client import URL_SETTING, RegistryClient

log = logger(__name__)

_READERS_HINT: Final = "Give the URL of the registry that the workers write with"


class WireReader:
    """Reads public records of either form, in one thread; asks the registry once for each schema.

    Args:
        client: The registry; None where none is configured.
    """

    def __init__(self, client: RegistryClient | None) -> None:
        self._client = client
        self._schemas = WriterSchemas(client, MESSAGE_SIZE_BYTES_MAX)

    def json(self, value: bytes) -> bytes:
        """The JSON of a public record's value. May block, for a schema that was not met before.

        Raises:
            EventError: it is framed, but no Avro of its schema.
            RegistryRefused: it is framed, and no registry is configured, or another one.
            RegistryAway: the registry did not answer in time.
        """
        if not is_framed(value):
            return value
        schema_id = schema_id_of(value)
        if self._client is None:
            raise RegistryRefused(
                f"public topics hold Avro, and no schema registry is configured. {_READERS_HINT}: {URL_SETTING}"
            )
        reader = self._schemas.fetch(schema_id)
        if isinstance(reader, EventError):
            raise RegistryRefused(f"{self._client.url}: {reader.message}. {_READERS_HINT}: {URL_SETTING}")
        self._schemas.keep((schema_id,))
        return reader.json(memoryview(value)[FRAME_SIZE_BYTES:])


def reading_wire(project: Projection, wire: WireReader, topics: Iterable[str]) -> Projection:
    """A projection that is given the JSON of framed records of these topics; one that can't be read is left out."""
    public = frozenset(topics)

    def projected(records: Sequence[Record], rows: StoredRows) -> Mapping[bytes, bytes | None]:
        if not any(is_framed(record.value) and record.topic in public for record in records):
            return project(records, rows)
        read = []
        for record in records:
            try:
                value = record.value
                json = wire.json(value) if record.topic in public and is_framed(value) else value
                read.append(record._replace(value=json))
            except EventError as error:
                log.warning(
                    "record left out: it can't be read",
                    topic=record.topic,
                    partition=record.partition,
                    offset=record.offset,
                    code=error.code.value,
                )
        return project(read, rows)

    return projected
