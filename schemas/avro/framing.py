"""Confluent framing: a null byte, the schema's id in four bytes, the Avro body. No JSON begins with a null byte."""

import struct
from typing import Final, TypeGuard

from schemas.errors import DeadCode, EventError

MAGIC: Final = b"\x00"
_HEAD: Final = struct.Struct(">bI")
FRAME_SIZE_BYTES: Final = _HEAD.size
#: Registries give 31-bit ids.
SCHEMA_ID_MAX: Final = 2**31 - 1


def is_framed(value: bytes | None) -> TypeGuard[bytes]:
    """Whether the value is framed Avro rather than JSON."""
    return value is not None and value[:1] == MAGIC


def frame_of(schema_id: int) -> bytes:
    """What stands before a body of this schema."""
    return _HEAD.pack(0, schema_id)


def schema_id_of(value: bytes) -> int:
    """The id of the schema that a framed value was written with.

    Raises:
        EventError: `broken_avro`, where it has none.
    """
    if len(value) < FRAME_SIZE_BYTES or not is_framed(value):
        raise EventError(DeadCode.BROKEN_AVRO, "no Confluent framing: a null byte, four bytes of the schema's id, Avro")
    schema_id: int = _HEAD.unpack_from(value)[1]
    if not 0 < schema_id <= SCHEMA_ID_MAX:
        raise EventError(DeadCode.BROKEN_AVRO, f"{schema_id} is no id that a registry gives")
    return schema_id
