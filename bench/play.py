"""Events into the system: over HTTP to collect, or straight to Kafka. Sending again is safe."""

import asyncio
import time
from collections.abc import Callable, Iterable, Iterator
from itertools import islice
from typing import Any, Final

import aiohttp
from confluent_kafka import KafkaError, KafkaException, Message, Producer

from bench.generator import encode
from schemas.errors import DeliveryFailed, UsageError
from schemas.topics import DEFAULT_PREFIX, RAW

EVENTS_PATH: Final = "/v1/events"
BATCH_CONTENT_TYPE: Final = "application/cloudevents-batch+json"
_HEADERS: Final = [("content-type", b"application/cloudevents+json; charset=utf-8")]
# Large enough that a round trip to the broker is shared by many, small enough to stay far below any limit on bodies.
BATCH_EVENTS_MAX: Final = 250
# A slow rate sends at least this often, so that contexts are seen to move.
_SENDS_PER_SECOND_MIN: Final = 10
_BACKOFF_SECONDS: Final = (0.1, 5.0)
#: How long one batch is tried: a broker or collect that starts needs some seconds.
GIVE_UP_SECONDS: Final = 120.0
_REQUEST_TIMEOUT_SECONDS: Final = 30.0
_RETRIED_STATUSES: Final = frozenset({429, 502, 503, 504})
_ANSWER_SHOWN_MAX: Final = 500

Progress = Callable[[int], None]


async def play(
    events: Iterable[dict[str, Any]],
    collect_url: str,
    rate_per_second: float | None,
    progress: Progress | None = None,
    give_up_seconds: float = GIVE_UP_SECONDS,
    *,
    token: str | None = None,
) -> int:
    """Post all events in order to collect, in batches; returns how many were accepted.

    Args:
        events: CloudEvents as JSON values.
        collect_url: such as `http://127.0.0.1:8090`.
        rate_per_second: events a second; None sends as fast as collect takes them.
        progress: called after each batch with the number of events accepted so far.
        give_up_seconds: how long one batch is tried while collect is missing or asks to wait.
        token: shown to collect, where it lets in nobody without.

    Raises:
        UsageError: collect refused a batch; the message has its answer.
        DeliveryFailed: collect took no batch for `give_up_seconds`.
    """
    accepted = 0
    timeout = aiohttp.ClientTimeout(total=_REQUEST_TIMEOUT_SECONDS)
    headers = {} if token is None else {"Authorization": f"Bearer {token}"}
    async with aiohttp.ClientSession(timeout=timeout, headers=headers) as session:
        started = time.monotonic()
        for batch in _batches(events, rate_per_second):
            await _post(session, collect_url.rstrip("/") + EVENTS_PATH, batch, give_up_seconds)
            accepted += len(batch)
            if progress:
                progress(accepted)
            if rate_per_second:
                await asyncio.sleep(max(0.0, started + accepted / rate_per_second - time.monotonic()))
    return accepted


async def _post(session: aiohttp.ClientSession, url: str, batch: list[bytes], give_up_seconds: float) -> None:
    body = b"[" + b",".join(batch) + b"]"
    wait_seconds, longest_seconds = _BACKOFF_SECONDS
    deadline = time.monotonic() + give_up_seconds
    while True:
        try:
            async with session.post(url, data=body, headers={"Content-Type": BATCH_CONTENT_TYPE}) as answer:
                text = await answer.text()
                if answer.status == 202:
                    return
                problem = f"{answer.status} {text[:_ANSWER_SHOWN_MAX]}"
                if answer.status not in _RETRIED_STATUSES:
                    raise UsageError(f"{url} refused a batch of {len(batch)} events: {problem}")
        except (aiohttp.ClientConnectionError, aiohttp.ClientPayloadError, TimeoutError) as error:
            problem = str(error) or type(error).__name__
        if time.monotonic() + wait_seconds > deadline:
            raise DeliveryFailed(f"{url} took no batch for {give_up_seconds:.0f} s: {problem}")
        await asyncio.sleep(wait_seconds)
        wait_seconds = min(2 * wait_seconds, longest_seconds)


def play_to_kafka(
    events: Iterable[dict[str, Any]],
    bootstrap_servers: str,
    rate_per_second: float | None,
    progress: Progress | None = None,
    *,
    prefix: str = DEFAULT_PREFIX,
    give_up_seconds: float = GIVE_UP_SECONDS,
) -> int:
    """Produce all events in order to `<prefix>raw.<channel>`; returns how many the broker has.

    Raises:
        DeliveryFailed: the broker did not take an event in time; the message says why.
    """
    failures: list[str] = []

    def delivered(error: KafkaError | None, _message: Message) -> None:
        if error is not None and len(failures) < 1:
            failures.append(error.str())

    producer = Producer(
        {
            "bootstrap.servers": bootstrap_servers,
            "enable.idempotence": True,
            "linger.ms": 20,
            "compression.type": "lz4",
            "message.timeout.ms": int(give_up_seconds * 1000),
        }
    )
    sent = 0
    started = time.monotonic()
    for batch in _event_batches(events, rate_per_second):
        for event in batch:
            _produce(producer, prefix + RAW + event["channel"], encode(event), delivered, give_up_seconds)
        sent += len(batch)
        producer.poll(0)
        if failures:
            break
        if progress:
            progress(sent)
        if rate_per_second:
            time.sleep(max(0.0, started + sent / rate_per_second - time.monotonic()))
    left = producer.flush(give_up_seconds)
    if failures or left:
        reason = failures[0] if failures else "no answer in time"
        raise DeliveryFailed(f"{bootstrap_servers} did not take all of {sent} events: {reason}")
    return sent


def _produce(
    producer: Producer,
    topic: str,
    value: bytes,
    delivered: Callable[..., None],
    give_up_seconds: float,
) -> None:
    """Queue one record; while the producer's queue is full, wait for the broker to take some."""
    deadline = time.monotonic() + give_up_seconds
    while True:
        try:
            producer.produce(topic, value=value, headers=_HEADERS, on_delivery=delivered)
        except BufferError:
            if time.monotonic() > deadline:
                raise DeliveryFailed(f"{topic}: the broker took nothing for {give_up_seconds:.0f} s") from None
            producer.poll(0.1)
        except KafkaException as error:
            raise DeliveryFailed(f"{topic}: {error}") from error
        else:
            return


def _event_batches(events: Iterable[dict[str, Any]], rate_per_second: float | None) -> Iterator[list[dict[str, Any]]]:
    size = BATCH_EVENTS_MAX
    if rate_per_second:
        size = max(1, min(size, int(rate_per_second / _SENDS_PER_SECOND_MIN)))
    iterator = iter(events)
    while batch := list(islice(iterator, size)):
        yield batch


def _batches(events: Iterable[dict[str, Any]], rate_per_second: float | None) -> Iterator[list[bytes]]:
    for batch in _event_batches(events, rate_per_second):
        yield [encode(event) for event in batch]
