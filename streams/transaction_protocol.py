"""Requests about transactions that neither client library has, in the form in which aiokafka sends its own.

`streams.transaction_admin` sends them; its tests hold aiokafka 0.14.0 to what is used of it here.
"""

from collections.abc import Sequence
from io import BytesIO
from struct import Struct
from typing import Any, Final

from aiokafka.protocol.api import Request, RequestStruct, Response
from aiokafka.protocol.types import (
    AbstractType,
    Boolean,
    CompactArray,
    CompactString,
    Int16,
    Int32,
    Int64,
    Schema,
    TaggedFields,
    UnsignedVarInt32,
)

_TEXT: Final = CompactString("utf-8")
_TAGS: Final = ("tags", TaggedFields)
#: Topics, each with numbers of partitions.
_TOPICS: Final = CompactArray(("name", _TEXT), ("partitions", CompactArray(Int32)), _TAGS)
_NO_TAGS: Final[dict[int, bytes]] = {}


class _DescribeTransactionsAnswer(Response):  # type: ignore[misc]
    API_KEY = 65
    API_VERSION = 0
    SCHEMA = Schema(
        ("throttle_ms", Int32),
        (
            "states",
            CompactArray(
                ("error_code", Int16),
                ("transactional_id", _TEXT),
                ("state", _TEXT),
                ("timeout_ms", Int32),
                ("start_ms", Int64),
                ("producer_id", Int64),
                ("producer_epoch", Int16),
                ("topics", _TOPICS),
                _TAGS,
            ),
        ),
        _TAGS,
    )


class _DescribeTransactionsStruct(RequestStruct):  # type: ignore[misc]
    API_KEY = 65
    API_VERSION = 0
    FLEXIBLE_VERSION = True
    RESPONSE_TYPE = _DescribeTransactionsAnswer
    SCHEMA = Schema(("transactional_ids", CompactArray(_TEXT)), _TAGS)


class _Producers(AbstractType[list[Any]]):  # type: ignore[misc]
    """Producers of a partition: each partition of a stage writes to all of its outputs, so these are many.

    aiokafka takes values one by one; here all of them are taken at once, as long as they have no tags.
    """

    _EACH: Final = CompactArray(
        ("producer_id", Int64),
        ("producer_epoch", Int32),
        ("last_sequence", Int32),
        ("last_timestamp_ms", Int64),
        ("coordinator_epoch", Int32),
        ("start_offset", Int64),
        _TAGS,
    )
    #: The same values, and the number of tags.
    _FORM: Final = Struct(">qiiqiqB")

    @classmethod
    def decode(cls, data: BytesIO) -> list[Any]:
        """Each as a tuple of the values above, tags or their number last."""
        begin = data.tell()
        size_bytes = (UnsignedVarInt32.decode(data) - 1) * cls._FORM.size
        found = list(cls._FORM.iter_unpack(data.read(size_bytes)))
        if any(each[-1] for each in found):
            data.seek(begin)
            found = cls._EACH.decode(data)
        return found


class _DescribeProducersAnswer(Response):  # type: ignore[misc]
    API_KEY = 61
    API_VERSION = 0
    SCHEMA = Schema(
        ("throttle_ms", Int32),
        (
            "topics",
            CompactArray(
                ("name", _TEXT),
                (
                    "partitions",
                    CompactArray(
                        ("partition", Int32),
                        ("error_code", Int16),
                        ("error_message", _TEXT),
                        ("producers", _Producers),
                        _TAGS,
                    ),
                ),
                _TAGS,
            ),
        ),
        _TAGS,
    )


class _DescribeProducersStruct(RequestStruct):  # type: ignore[misc]
    API_KEY = 61
    API_VERSION = 0
    FLEXIBLE_VERSION = True
    RESPONSE_TYPE = _DescribeProducersAnswer
    SCHEMA = Schema(("topics", _TOPICS), _TAGS)


class _WriteMarkersAnswer(Response):  # type: ignore[misc]
    API_KEY = 27
    API_VERSION = 1
    SCHEMA = Schema(
        (
            "markers",
            CompactArray(
                ("producer_id", Int64),
                (
                    "topics",
                    CompactArray(
                        ("name", _TEXT),
                        ("partitions", CompactArray(("partition", Int32), ("error_code", Int16), _TAGS)),
                        _TAGS,
                    ),
                ),
                _TAGS,
            ),
        ),
        _TAGS,
    )


class _WriteMarkersStruct(RequestStruct):  # type: ignore[misc]
    API_KEY = 27
    API_VERSION = 1
    FLEXIBLE_VERSION = True
    RESPONSE_TYPE = _WriteMarkersAnswer
    SCHEMA = Schema(
        (
            "markers",
            CompactArray(
                ("producer_id", Int64),
                ("producer_epoch", Int16),
                ("is_commit", Boolean),
                ("topics", _TOPICS),
                ("coordinator_epoch", Int32),
                _TAGS,
            ),
        ),
        _TAGS,
    )


class DescribeTransactions(Request[_DescribeTransactionsStruct]):  # type: ignore[misc]
    """What a coordinator knows of a transactional id; Kafka 3.0 and later."""

    API_KEY = 65

    def __init__(self, transactional_id: str) -> None:
        self._fields = ([transactional_id], _NO_TAGS)

    def build(self, request_struct_class: type[_DescribeTransactionsStruct]) -> _DescribeTransactionsStruct:
        """The request in one version."""
        return request_struct_class(*self._fields)


class DescribeProducers(Request[_DescribeProducersStruct]):  # type: ignore[misc]
    """What the leader of partitions knows of those who write to them; Kafka 2.8 and later."""

    API_KEY = 61

    def __init__(self, topics: Sequence[tuple[str, Sequence[int]]]) -> None:
        self._fields = (_tagged(topics), _NO_TAGS)

    def build(self, request_struct_class: type[_DescribeProducersStruct]) -> _DescribeProducersStruct:
        """The request in one version."""
        return request_struct_class(*self._fields)


class WriteMarkers(Request[_WriteMarkersStruct]):  # type: ignore[misc]
    """End a producer's open transaction in partitions of one leader; who sends it needs rights on the cluster."""

    API_KEY = 27

    def __init__(
        self,
        producer_id: int,
        producer_epoch: int,
        is_commit: bool,
        topics: Sequence[tuple[str, Sequence[int]]],
        coordinator_epoch: int,
    ) -> None:
        marker = (producer_id, producer_epoch, is_commit, _tagged(topics), coordinator_epoch, _NO_TAGS)
        self._fields = ([marker], _NO_TAGS)

    def build(self, request_struct_class: type[_WriteMarkersStruct]) -> _WriteMarkersStruct:
        """The request in one version."""
        return request_struct_class(*self._fields)


def _tagged(topics: Sequence[tuple[str, Sequence[int]]]) -> list[tuple[str, list[int], Any]]:
    return [(name, list(partitions), _NO_TAGS) for name, partitions in topics]
