"""librdkafka itself, for what its Python client does under the interpreter's lock.

Many messages are handed over by one call: they are made by the compiled library (`state.native`), and nobody waits for
the lock while the client copies them. A transaction begins without it, too: that asks a thread of the client, whose
turn on a busy machine may be milliseconds away.

Everything here is librdkafka's public interface, but for one thing: where the client's handle lies in a `Producer`,
which confluent-kafka tells nobody. So only the version that is pinned is spoken to in this way;
tests/streams/test_client_library.py holds it to it.
"""

import ctypes
from functools import cache
from pathlib import Path
from typing import Final

import confluent_kafka
from confluent_kafka import Producer

#: The client, and the librdkafka that it comes with.
KNOWN_VERSIONS: Final = ("2.16.1", "2.16.0")
# Beside the client, where its wheel puts what it needs.
_FOLDER: Final = "confluent_kafka.libs"
_FILES: Final = "librdkafka*.so*"
# In a Producer the handle is the first thing after what every object has.
_HANDLE_PLACE: Final = object.__basicsize__
# `rdkafka.h`: the messages' bytes are copied, and each message says its own partition.
_COPY: Final = 0x2
_PARTITION_OF_EACH: Final = 0x8
_NO_PARTITION: Final = -1
_PRODUCER_TYPE: Final = 0


class ClientLibrary:
    """The functions of librdkafka that are called here."""

    def __init__(self, library: ctypes.CDLL) -> None:
        self._new_topic = library.rd_kafka_topic_new
        self._new_topic.argtypes = (ctypes.c_void_p, ctypes.c_char_p, ctypes.c_void_p)
        self._new_topic.restype = ctypes.c_void_p
        self._end_topic = library.rd_kafka_topic_destroy
        self._end_topic.argtypes, self._end_topic.restype = (ctypes.c_void_p,), None
        self._produce = library.rd_kafka_produce_batch
        self._produce.argtypes = (ctypes.c_void_p, ctypes.c_int32, ctypes.c_int, ctypes.c_void_p, ctypes.c_int)
        self._begin = library.rd_kafka_begin_transaction
        self._begin.argtypes, self._begin.restype = (ctypes.c_void_p,), ctypes.c_void_p
        self._end_error = library.rd_kafka_error_destroy
        self._end_error.argtypes, self._end_error.restype = (ctypes.c_void_p,), None
        self._type = library.rd_kafka_type
        self._type.argtypes = (ctypes.c_void_p,)

    def produce(self, producer: Producer, topic: str, messages: int, count: int) -> int:
        """Hand over so many messages at an address, as `state/native/client.rs` makes them; how many were taken.

        The client's bounds must have room for all of them: what is not taken could be overtaken by what comes after.
        """
        handle = self._handle(producer)
        named = handle and self._new_topic(handle, topic.encode(), None)
        if not named:
            return 0
        try:
            taken: int = self._produce(named, _NO_PARTITION, _COPY | _PARTITION_OF_EACH, messages, count)
        finally:
            self._end_topic(named)
        return taken

    def begin(self, producer: Producer) -> bool:
        """Begin a transaction; False where that went wrong: asked itself, the producer says what."""
        handle = self._handle(producer)
        if not handle:
            return False
        error = self._begin(handle)
        if error:
            self._end_error(error)
        return not error

    def _handle(self, producer: Producer) -> int | None:
        handle = ctypes.c_void_p.from_address(id(producer) + _HANDLE_PLACE).value
        return handle if handle and self._type(handle) == _PRODUCER_TYPE else None


@cache
def client_library() -> ClientLibrary | None:
    """The library that the client uses; None where it is another version, or lies where nobody knows."""
    if (confluent_kafka.version(), confluent_kafka.libversion()[0]) != KNOWN_VERSIONS:
        return None
    folder = Path(confluent_kafka.__file__).parents[1] / _FOLDER
    found = sorted(folder.glob(_FILES))
    # Two words of 32 bits, two of 64: the messages are made for machines of 64.
    if len(found) != 1 or ctypes.sizeof(ctypes.c_void_p) != ctypes.sizeof(ctypes.c_int64):
        return None
    try:
        return ClientLibrary(ctypes.CDLL(str(found[0])))
    except (OSError, AttributeError):
        return None
