"""How outputs go out: the engines' JSON, or Avro in Confluent framing once the ids of our schemas are known.

It sits between an engine's outputs and the producer, so that engines, fault points and transactions are the same
whether or not there is a registry.
"""

from collections.abc import Mapping

from schemas.avro.framing import frame_of, is_framed
from schemas.avro.public_schemas import public_schemas
from schemas.avro.writing import AvroWriter
from schemas.errors import StateError
from schemas.topics import Topic


class Wire:
    """The form of public records. Without ids, and for every other topic, that is what the engine wrote.

    `value` is called by threads that write checkpoints while `use` may be called by another.
    """

    def __init__(self) -> None:
        self._writers: dict[str, tuple[bytes, AvroWriter]] = {}

    @property
    def is_avro(self) -> bool:
        """Whether public records go out as Avro by now."""
        return bool(self._writers)

    def use(self, ids: Mapping[Topic, int]) -> None:
        """Write Avro from now on, with the registered ids of the public topics' schemas."""
        schemas = public_schemas()
        self._writers = {
            str(topic): (frame_of(schema_id), AvroWriter(schemas[topic])) for topic, schema_id in ids.items()
        }

    def value(self, topic: str, value: bytes | None) -> bytes | None:
        """The value of a record as it goes out. `topic` is without its prefix; a tombstone stays one.

        Avro takes less room than its JSON, so what fits into a record still does.

        Raises:
            StateError: an output is not as its schema says; nothing of its checkpoint is written.
        """
        writer = self._writers.get(topic)
        if writer is None or value is None or is_framed(value):
            return value
        try:
            return writer[0] + writer[1].body(value)
        except (ValueError, TypeError, KeyError, AttributeError) as error:
            # Texts of such errors may hold what a person said.
            raise StateError(
                f"an output to {topic} does not fit its Avro schema ({type(error).__name__}): this is a fault of the "
                "program; unset GOLDENTHREAD_SCHEMA_REGISTRY_URL to go on with JSON"
            ) from None
