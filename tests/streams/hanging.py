"""Records of a transaction without its end, as a broker leaves them that loses markers: complete, and yet open.

The broker is told not to ask the coordinator about what is written, and gets records of a producer that has committed
or aborted everything it began.
"""

import asyncio
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager

from aiokafka.client import AIOKafkaClient
from aiokafka.protocol.produce import ProduceRequest
from aiokafka.record.default_records import DefaultRecordBatchBuilder
from confluent_kafka.admin import AdminClient, AlterConfigOpType, ConfigEntry, ConfigResource, ResourceType

from schemas.topics import Partition
from streams.kafka import KafkaOptions
from streams.transaction_admin import TransactionAdmin
from streams.transaction_protocol import DescribeProducers

_TIMEOUT_S = 10.0
# What the coordinator says of such records, as long as it is asked: a wrong epoch, no transaction.
_NOT_UNVERIFIED_YET = (47, 48)
_VERIFICATION = "transaction.partition.verification.enable"

Rows = Sequence[tuple[bytes, bytes | None]]


@contextmanager
def _unverified(kafka: KafkaOptions) -> Iterator[None]:
    admin = AdminClient(kafka.admin())

    def change(operation: AlterConfigOpType) -> None:
        entry = ConfigEntry(_VERIFICATION, "false", incremental_operation=operation)
        resource = ConfigResource(ResourceType.BROKER, "1", incremental_configs=[entry])
        for future in admin.incremental_alter_configs([resource]).values():
            future.result(_TIMEOUT_S)

    change(AlterConfigOpType.SET)
    try:
        yield
    finally:
        change(AlterConfigOpType.DELETE)


async def _append(
    kafka: KafkaOptions, producer_id: int, transactional_id: str, records: Mapping[Partition, Rows]
) -> None:
    client = AIOKafkaClient(bootstrap_servers=kafka.bootstrap_servers)
    await client.bootstrap()
    try:
        for (topic, partition), rows in records.items():
            answer = await client.send(1, DescribeProducers([(topic, [partition])]))
            known = {each[0]: each for each in answer.topics[0][1][0][3]}
            _, epoch, sequence, *_ = known[producer_id]
            batch = DefaultRecordBatchBuilder(2, 0, 1, producer_id, epoch, sequence + 1, 1_000_000)
            for offset, (key, value) in enumerate(rows):
                batch.append(offset, timestamp=1_700_000_000_000, key=key, value=value, headers=[])
            request = ProduceRequest(transactional_id, -1, 10_000, [(topic, [(partition, bytes(batch.build()))])])
            code, deadline = _NOT_UNVERIFIED_YET[0], time.monotonic() + _TIMEOUT_S
            # The broker's new setting takes effect a moment after it was acknowledged.
            while code in _NOT_UNVERIFIED_YET and time.monotonic() < deadline:
                ((_, ((_, code, *_),)),) = (await client.send(1, request)).topics
            assert code == 0, code
    finally:
        await client.close()
        await asyncio.sleep(0)


def leave_hanging(kafka: KafkaOptions, transactional_id: str, records: Mapping[Partition, Rows]) -> None:
    """Append records of the id's last producer, which must have written to each partition, and leave them open."""
    with TransactionAdmin(kafka) as admin:
        state = admin.state(transactional_id)
    assert state is not None
    with _unverified(kafka):
        asyncio.run(_append(kafka, state.producer_id, transactional_id, records))
