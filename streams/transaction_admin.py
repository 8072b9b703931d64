"""What the brokers know of transactions, and the marker that one of them left out.

Neither client library asks for it, so aiokafka carries requests of ours. Calls block; each may be made again.
"""

import asyncio
from collections import defaultdict
from collections.abc import Callable, Coroutine, Iterable, Sequence
from types import TracebackType
from typing import Any, Final, NamedTuple, Self, TypeVar

from aiokafka import errors
from aiokafka.client import AIOKafkaClient, CoordinationType
from aiokafka.structs import TopicPartition

from schemas.topics import Partition
from streams.kafka import KafkaOptions
from streams.transaction_protocol import DescribeProducers, DescribeTransactions, WriteMarkers

_Answer = TypeVar("_Answer")

#: What one request may take.
REQUEST_TIMEOUT_MS: Final = 5_000
# How soon an answer that is not wanted any more is no longer waited for.
_LOOK_SECONDS: Final = 0.5
#: The user of this client may not ask; nothing changes that.
DENIED: Final = (
    errors.TopicAuthorizationFailedError,
    errors.ClusterAuthorizationFailedError,
    errors.TransactionalIdAuthorizationFailed,
)
#: The broker is too old for a request.
UNKNOWN_TO_BROKER: Final = (errors.IncompatibleBrokerVersion, errors.UnsupportedVersionError, NotImplementedError)
# A coordinator that never heard of an id; aiokafka has no name for it.
_TRANSACTIONAL_ID_NOT_FOUND: Final = 105


class TransactionState(NamedTuple):
    """What a coordinator says of a transactional id."""

    #: Kafka's word for it, such as `CompleteCommit`; "" where the coordinator does not know the id.
    name: str
    producer_id: int = -1


class OpenTransaction(NamedTuple):
    """Records of a producer in a partition that no marker of their transaction follows."""

    place: Partition
    producer_id: int
    producer_epoch: int
    #: Of the newest record.
    last_sequence: int
    #: Of the newest marker; -1 where there was none.
    coordinator_epoch: int
    start_offset: int


class TransactionAdmin:
    """Asks coordinators and leaders; a context manager, for one thread.

    Its methods raise one of `DENIED` or `UNKNOWN_TO_BROKER`, or a `KafkaError` after which the same call may succeed.
    They give None, within a second, once `is_wanted` says that nobody wants the answer any more.
    """

    def __init__(self, kafka: KafkaOptions, is_wanted: Callable[[], bool] = lambda: True) -> None:
        self._kafka = kafka
        self._is_wanted = is_wanted
        self._runner = asyncio.Runner()
        self._client: AIOKafkaClient | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with self._runner:
            if self._client is not None:
                self._runner.run(_close(self._client))

    def state(self, transactional_id: str) -> TransactionState | None:
        """What became of the id's last transaction, as its coordinator has it."""
        return self._answer(self._state(transactional_id))

    def open_transactions(self, places: Sequence[Partition]) -> list[OpenTransaction] | None:
        """The transactions that are open in partitions, whoever's they are.

        Topics that don't exist or that this user may not read are left out, save that of the first partition.
        """
        return self._answer(self._open_transactions(places))

    def write_markers(self, transactions: Iterable[OpenTransaction], *, is_commit: bool) -> bool | None:
        """Write the markers that are missing, as the coordinator of these transactions has decided.

        A partition that a newer owner of the producer id has written to refuses it.
        """
        return self._answer(self._write_markers(list(transactions), is_commit))

    def _answer(self, asking: Coroutine[Any, Any, _Answer]) -> _Answer | None:
        return self._runner.run(self._while_wanted(asking))

    async def _while_wanted(self, asking: Coroutine[Any, Any, _Answer]) -> _Answer | None:
        task = asyncio.create_task(asking)
        while self._is_wanted():
            if (await asyncio.wait({task}, timeout=_LOOK_SECONDS))[0]:
                return task.result()
        task.cancel()
        await asyncio.wait({task})
        return None

    async def _connected(self) -> AIOKafkaClient:
        if self._client is None:
            kafka, security = self._kafka, self._kafka.security
            client = AIOKafkaClient(
                bootstrap_servers=kafka.bootstrap_servers,
                client_id=kafka.client_id,
                request_timeout_ms=REQUEST_TIMEOUT_MS,
                security_protocol=security.protocol.value.upper(),
                ssl_context=security.tls_context(),
                sasl_mechanism=None if security.sasl_mechanism is None else security.sasl_mechanism.value,
                sasl_plain_username=security.sasl_username,
                sasl_plain_password=security.sasl_password,
            )
            try:
                await client.bootstrap()
            except BaseException:
                await _close(client)
                raise
            self._client = client
        return self._client

    async def _state(self, transactional_id: str) -> TransactionState:
        client = await self._connected()
        node = await client.coordinator_lookup(CoordinationType.TRANSACTION, transactional_id)
        answer = await client.send(node, DescribeTransactions(transactional_id))
        code, _, name, _, _, producer_id, *_ = answer.states[0]
        if code == _TRANSACTIONAL_ID_NOT_FOUND:
            return TransactionState("")
        _require(code)
        return TransactionState(name, producer_id)

    async def _open_transactions(self, places: Sequence[Partition]) -> list[OpenTransaction]:
        client = await self._connected()
        found = []
        for node, topics in (await self._by_leader(client, places)).items():
            answer = await client.send(node, DescribeProducers(list(topics.items())))
            for name, partitions, _ in answer.topics:
                for number, code, _, producers, _ in partitions:
                    if errors.for_code(code) in DENIED and name != places[0][0]:
                        continue
                    _require(code)
                    found += [
                        OpenTransaction((name, number), producer_id, epoch, sequence, coordinator_epoch, start)
                        for producer_id, epoch, sequence, _, coordinator_epoch, start, _ in producers
                        if start >= 0
                    ]
        return found

    async def _write_markers(self, transactions: Sequence[OpenTransaction], is_commit: bool) -> bool:
        client = await self._connected()
        by_producer: dict[tuple[int, int, int], list[Partition]] = defaultdict(list)
        for one in transactions:
            # A partition takes no marker of a coordinator that is older than that of its newest one.
            by_producer[one.producer_id, one.producer_epoch, max(0, one.coordinator_epoch)].append(one.place)
        for (producer_id, epoch, coordinator_epoch), places in by_producer.items():
            for node, topics in (await self._by_leader(client, places)).items():
                request = WriteMarkers(producer_id, epoch, is_commit, list(topics.items()), coordinator_epoch)
                answer = await client.send(node, request)
                for _, answered, _ in answer.markers:
                    for _, partitions, _ in answered:
                        for _, code, _ in partitions:
                            _require(code)
        return True

    async def _by_leader(self, client: AIOKafkaClient, places: Sequence[Partition]) -> dict[int, dict[str, list[int]]]:
        """The partitions by the node that leads them, as it is now: between two calls a broker may have gone."""
        client.set_topics({topic for topic, _ in places})
        if not await client.force_metadata_update():
            raise errors.KafkaConnectionError("no broker tells who leads what")
        by_leader: dict[int, dict[str, list[int]]] = defaultdict(lambda: defaultdict(list))
        for place in places:
            leader = client.cluster.leader_for_partition(TopicPartition(*place))
            if leader is None and place != places[0]:
                # No such topic, or no right to see it.
                continue
            if leader is None and place[0] in client.cluster.unauthorized_topics:
                raise errors.TopicAuthorizationFailedError(place[0])
            # A broker that has just started may know neither brokers nor topics yet.
            if leader is None or leader < 0:
                raise errors.LeaderNotAvailableError(f"{place[0]}/{place[1]}")
            by_leader[leader][place[0]].append(place[1])
        return by_leader


def _require(code: int) -> None:
    if code:
        raise errors.for_code(code)(f"error {code}")


async def _close(client: AIOKafkaClient) -> None:
    await client.close()
    # The loop closes its sockets in a turn of its own.
    await asyncio.sleep(0)
