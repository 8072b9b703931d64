"""The lookup as a process on a real broker: from its start, through catch-up, to a clean end; and `tail`."""

import asyncio
import uuid
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import aiohttp
import msgspec
import pytest
from confluent_kafka import Producer

from connectors.serve.service import LookupOptions, run_lookup
from connectors.serve.tail import tail
from schemas.errors import SecretError, StateError, TopicError, UsageError
from schemas.identity_policy import DEFAULT_POLICY, Grade
from schemas.keys import Keyring
from schemas.roles import ATTACHED
from schemas.topics import Catalogue, Topic
from state.join import JoinRules
from streams.bulk import Record
from streams.kafka import KafkaOptions
from streams.metrics import Metrics
from streams.topics import create_topics
from tests.connectors.serve.support import Copy, shown

pytestmark = pytest.mark.kafka
DEADLINE_SECONDS = 60


class _Written(Copy):
    """Writes what a copy is made of to the topics, in one transaction a record, as workers do."""

    def __init__(self, kafka: KafkaOptions, catalogue: Catalogue) -> None:
        super().__init__()
        self._names = catalogue
        self._producer = Producer(kafka.transactional_producer(uuid.uuid4().hex))
        self._producer.init_transactions(30)

    def put(self, *records: Record) -> None:
        """Bring records in, and write them."""
        super().put(*records)
        self._producer.begin_transaction()
        for record in records:
            topic = self._names.name(record.topic.removeprefix(self.catalogue.prefix))
            self._producer.produce(topic, record.value, record.key, partition=0)
        self._producer.commit_transaction(30)


@pytest.fixture
def catalogue() -> Catalogue:
    return Catalogue(prefix=f"lookup-{uuid.uuid4().hex[:8]}.", partitions=1, channels=("web",))


@pytest.fixture
def options(broker: str, catalogue: Catalogue, tmp_path: Path) -> LookupOptions:
    return LookupOptions(
        kafka=KafkaOptions(broker),
        catalogue=catalogue,
        group_id=f"{catalogue.prefix}worker",
        data_dir=tmp_path,
        rules=JoinRules(DEFAULT_POLICY),
        version="1",
        port=0,
        probe_interval_s=0.1,
        confirm_timeout_s=5.0,
    )


@pytest.fixture
def written(options: LookupOptions) -> _Written:
    create_topics(options.kafka, options.catalogue)
    return _Written(options.kafka, options.catalogue)


@asynccontextmanager
async def running(options: LookupOptions, keyring: Keyring, metrics: Metrics | None = None) -> AsyncIterator[str]:
    """A lookup that runs while the context is open; gives its address."""
    listening: asyncio.Future[str] = asyncio.get_running_loop().create_future()

    def on_listening(host: str, port: int) -> None:
        listening.set_result(f"http://{host}:{port}")

    lookup = asyncio.create_task(
        run_lookup(options, keyring, metrics or Metrics("lookup", "1"), on_listening=on_listening)
    )
    try:
        ends: set[asyncio.Future[Any]] = {lookup, listening}
        await asyncio.wait(ends, return_when=asyncio.FIRST_COMPLETED, timeout=DEADLINE_SECONDS)
        if lookup.done():
            lookup.result()
        yield await listening
        if lookup.done():
            lookup.result()
    finally:
        lookup.cancel()
        await asyncio.gather(lookup, return_exceptions=True)


async def until(url: str, wanted: Callable[[int, Any], bool]) -> bytes:
    """Ask again until status and headers are as wanted; gives the body."""
    async with asyncio.timeout(DEADLINE_SECONDS), aiohttp.ClientSession() as session:
        while True:
            async with session.get(url, allow_redirects=False) as answer:
                body = await answer.read()
                if wanted(answer.status, answer.headers):
                    return body
            await asyncio.sleep(0.05)


async def test_a_lookup_catches_up_answers_and_follows(options: LookupOptions, written: _Written) -> None:
    written.home("email", "ann@example.com", Grade.LOGIN)
    metrics = Metrics("lookup", "1")
    async with running(options, written.keyring, metrics) as url:
        path = f"{url}/v1/identifiers/email/ann@example.com/context"
        await until(path, lambda status, _: status == 200)
        await until(path, lambda _, headers: headers["Goldenthread-Lag-Seconds"] == "0")
        newest = written.context(
            written.fragment("email", "ann@example.com"), shown("email", "ann@example.com"), version=2
        )
        body = await until(path, lambda _, headers: headers["Goldenthread-Lag-Seconds"] == "0")
        assert body == newest, "a lag of 0 means that what was committed before is in the answer"
        old = written.home("cookie", "c-1")
        written.link("cookie", "c-1", written.fragment("email", "ann@example.com"), ATTACHED)
        await until(f"{url}/v1/customers/{old}/context", lambda status, _: status == 308)
        assert metrics.registry.get_sample_value("goldenthread_lookups_total", {"by": "id", "outcome": "moved"}) == 1


async def test_a_restarted_lookup_goes_on_from_its_copy(options: LookupOptions, written: _Written) -> None:
    customer = written.home("email", "ann@example.com")
    for _ in range(2):
        metrics = Metrics("lookup", "1")
        async with running(options, written.keyring, metrics) as url:
            await until(f"{url}/v1/customers/{customer}/context", lambda status, _: status == 200)
            read = metrics.registry.get_sample_value("goldenthread_follower_records_total", {"follower": "lookup"})
    assert read == 0


async def test_while_the_broker_is_away_it_listens_and_says_that_it_is_not_ready(
    options: LookupOptions, written: _Written
) -> None:
    away = replace(options, kafka=KafkaOptions("127.0.0.1:1", properties={"log_level": "0"}))
    async with running(away, written.keyring) as url:
        body = await until(f"{url}/v1/customers/{'0' * 32}/context", lambda status, _: status == 503)
        assert msgspec.json.decode(body)["code"] == "catching_up"
        await until(f"{url}/readyz", lambda status, _: status == 503)
        await until(f"{url}/livez", lambda status, _: status == 200)


async def test_missing_and_wrong_topics_end_it(options: LookupOptions) -> None:
    keyring = Keyring(b"a secret of sixteen bytes and more")
    with pytest.raises(TopicError, match="goldenthread init"):
        await asyncio.wait_for(run_lookup(options, keyring, Metrics("lookup", "1")), DEADLINE_SECONDS)
    create_topics(options.kafka, options.catalogue)
    more = replace(options, catalogue=msgspec.structs.replace(options.catalogue, partitions=2))
    with pytest.raises(TopicError, match="partitions"):
        await asyncio.wait_for(run_lookup(more, keyring, Metrics("lookup", "1")), DEADLINE_SECONDS)


async def test_another_secret_ends_it_whether_the_copy_is_there_or_not(
    options: LookupOptions, written: _Written, tmp_path: Path
) -> None:
    customer = written.home("email", "ann@example.com")
    other = Keyring(b"another secret of enough bytes")
    with pytest.raises(SecretError, match="GOLDENTHREAD_SECRET"):
        await asyncio.wait_for(
            run_lookup(replace(options, data_dir=tmp_path / "new"), other, Metrics("lookup", "1")), DEADLINE_SECONDS
        )
    async with running(options, written.keyring) as url:
        await until(f"{url}/v1/customers/{customer}/context", lambda status, _: status == 200)
    with pytest.raises(StateError, match="GOLDENTHREAD_SECRET"):
        await asyncio.wait_for(run_lookup(options, other, Metrics("lookup", "1")), DEADLINE_SECONDS)


def test_tail_shows_the_records_of_a_public_topic_as_lines(options: LookupOptions, written: _Written) -> None:
    customer = written.home("email", "ann@example.com")
    written.forget_context(customer)
    kafka, catalogue = options.kafka, options.catalogue
    lines = [
        msgspec.json.decode(record.line())
        for record in tail(kafka, catalogue, "context", from_beginning=True, follow=False)
    ]
    assert [line["key"] for line in lines] == [customer, customer]
    assert [line["value"] and line["value"]["customer"] for line in lines] == [customer, None]
    assert list(lines[0]) == ["topic", "partition", "offset", "time", "key", "value"]
    full_name = catalogue.name(Topic.CONTEXT)
    assert len(list(tail(kafka, catalogue, full_name, from_beginning=True, limit=1))) == 1
    assert list(tail(kafka, catalogue, full_name, follow=False)) == []


def test_tail_refuses_what_is_not_public_and_what_is_not_there(options: LookupOptions) -> None:
    for topic in ("routed", "context.state", "raw.web", "nonsense"):
        with pytest.raises(UsageError, match=r"context, interactions, context\.changes, identity\.changes"):
            next(tail(options.kafka, options.catalogue, topic))
    with pytest.raises(TopicError, match="goldenthread init"):
        next(tail(options.kafka, options.catalogue, "context"))
