"""Goal: whatever the broker does, collect answers soon, in bounded memory, and what it accepted is there.

Method: collect as a process of its own over a broker of its own, which is paused, killed and started again while many
senders send batches of events, Segment batches and webhooks; memory is read from the system, the log to its end.
"""

import asyncio
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import aiohttp
import msgspec
import pytest

from schemas.times import format_time
from schemas.topics import Catalogue
from streams.broker.local_broker import LocalBroker
from streams.broker.options import BrokerOptions
from streams.bulk import read_all
from streams.kafka import KafkaOptions
from streams.topics import create_topics
from tests.running_system import SECRET, clean_environment
from tests.waiting import until

pytestmark = [pytest.mark.kafka, pytest.mark.drill]

SENDERS: Final = 60
EVENTS_PER_REQUEST: Final = 100
PAUSE_S: Final = 25.0
#: The producer gives up after 15 s; the rest is for a machine that has other things to do.
ANSWER_S_MAX: Final = 40.0
CATALOGUE: Final = Catalogue(channels=("web", "app", "chat"))
#: What may be on its way, twice over for what the producer holds of it, and the bodies that arrive.
GROWTH_BYTES_MAX: Final = 500 * 1024 * 1024
HOOK: Final = """
version: 1
source: tool
event:
  id: id
  type: "'tool.used'"
  data: {identifiers: {email: who}}
"""
NOTE: Final = "x" * 400


@dataclass
class Senders:
    """Many senders that send for ever, each something new in each request."""

    url: str
    #: Ids by the source under which they were accepted.
    accepted: set[tuple[str, str]] = field(default_factory=set)
    #: Seconds that answers took, by status and code.
    seconds: dict[tuple[int, str], list[float]] = field(default_factory=dict)
    number: int = 0
    #: Requests whose connection ended without an answer.
    broken: int = 0
    stopping: bool = False

    async def run(self) -> None:
        """Send until `stopping` is set."""
        timeout = aiohttp.ClientTimeout(total=300)
        connector = aiohttp.TCPConnector(limit=0)
        async with aiohttp.ClientSession(self.url, timeout=timeout, connector=connector) as client:
            await asyncio.gather(*(self._send_on(client, place) for place in range(SENDERS)))

    async def _send_on(self, client: aiohttp.ClientSession, place: int) -> None:
        while not self.stopping:
            ids = [f"e-{self.number + offset}" for offset in range(EVENTS_PER_REQUEST)]
            self.number += EVENTS_PER_REQUEST
            request = _request(place % 3, ids)
            try:
                await self._send(client, request, ids)
            except aiohttp.ClientError:
                # Nothing was answered, so nothing is promised.
                self.broken += 1
            await asyncio.sleep(0.05)

    async def _send(
        self, client: aiohttp.ClientSession, request: tuple[str, str, bytes, dict[str, str]], ids: list[str]
    ) -> None:
        source, path, body, headers = request
        started = time.monotonic()
        async with client.post(path, data=body, headers=headers) as answer:
            content = await answer.json()
            self.seconds.setdefault((answer.status, content.get("code", "")), []).append(time.monotonic() - started)
            if answer.status in {200, 202}:
                self.accepted.update((source, each) for each in ids)
            else:
                assert answer.status == 503, content
                assert int(answer.headers["Retry-After"]) > 0


def _request(door: int, ids: list[str]) -> tuple[str, str, bytes, dict[str, str]]:
    now = format_time(time.time_ns() // 1000 - 60_000_000)
    json = {"Content-Type": "application/json"}
    if door == 0:
        events = [
            {
                "specversion": "1.0", "id": each, "source": "shop", "type": "page.viewed", "time": now,
                "channel": "web", "data": {"identifiers": {"cookie": each}, "note": NOTE},
            }
            for each in ids
        ]  # fmt: skip
        return "shop", "/v1/events", msgspec.json.encode(events), {"Content-Type": "application/cloudevents-batch+json"}
    if door == 1:
        messages = [{"type": "page", "userId": each, "messageId": each, "properties": {"n": NOTE}} for each in ids]
        return "segment", "/v1/batch", msgspec.json.encode({"batch": messages}), json
    records = [{"id": each, "who": f"{each}@tool.example", "note": NOTE} for each in ids]
    return "tool", "/v1/hooks/tool", msgspec.json.encode(records), json


def rss_bytes(pid: int) -> int:
    pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE")


@pytest.fixture
def paused_broker(
    tmp_path: Path, cache_dir: Path, free_ports: Callable[[int], list[int]]
) -> Iterator[tuple[LocalBroker, Callable[[int], None]]]:
    port, controller_port = free_ports(2)
    options = BrokerOptions(
        data_dir=tmp_path / "kafka", cache_dir=cache_dir, port=port, controller_port=controller_port
    )
    with LocalBroker(options) as local:

        def send_signal(number: int) -> None:
            os.kill(local._started().pid, number)

        try:
            yield local, send_signal
        finally:
            if local._process is not None:
                send_signal(signal.SIGCONT)


@pytest.fixture
def collect(
    paused_broker: tuple[LocalBroker, Callable[[int], None]], tmp_path: Path, free_ports: Callable[[int], list[int]]
) -> Iterator[tuple["subprocess.Popen[bytes]", str]]:
    broker, _ = paused_broker
    create_topics(KafkaOptions(broker.bootstrap_servers), CATALOGUE)
    (tmp_path / "tool.yaml").write_text(HOOK)
    (tmp_path / "sources.yaml").write_text("sources:\n  tool: {channel: chat, mapping: tool.yaml}\n")
    (port,) = free_ports(1)
    settings = {
        "KAFKA_BOOTSTRAP_SERVERS": broker.bootstrap_servers, "GOLDENTHREAD_SECRET": SECRET,
        "GOLDENTHREAD_COLLECT_PORT": str(port), "GOLDENTHREAD_CHANNELS": ",".join(CATALOGUE.channels),
        "GOLDENTHREAD_SOURCES_FILE": str(tmp_path / "sources.yaml"), "GOLDENTHREAD_DATA_DIR": str(tmp_path / "data"),
    }  # fmt: skip
    with (tmp_path / "collect.log").open("wb") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "goldenthread", "collect"], cwd=tmp_path, env=clean_environment(settings),
            stdout=log, stderr=log,
        )  # fmt: skip
    try:
        yield process, f"http://127.0.0.1:{port}"
    finally:
        process.kill()
        process.wait()


async def test_under_a_broker_that_is_paused_and_killed_answers_are_soon_and_what_was_accepted_is_there(
    paused_broker: tuple[LocalBroker, Callable[[int], None]],
    collect: tuple["subprocess.Popen[bytes]", str],
) -> None:
    broker, send_signal = paused_broker
    process, url = collect
    await _ready(url)
    senders = Senders(url)
    before = rss_bytes(process.pid)
    running = asyncio.create_task(senders.run())
    try:
        await _more(senders, running, 5_000)
        # 1. Paused: some wait in vain, all others are turned away at once, and memory is flat.
        senders.seconds.clear()
        send_signal(signal.SIGSTOP)
        readings = []
        for _ in range(10):
            await asyncio.sleep(PAUSE_S / 10)
            readings.append(rss_bytes(process.pid))
        send_signal(signal.SIGCONT)
        paused = {key: (len(seconds), round(max(seconds), 1)) for key, seconds in senders.seconds.items()}
        figures = f"RSS {[each >> 20 for each in (before, *readings)]} MiB, answers {paused}"
        sys.stdout.write(f"{figures}\n")
        assert max(readings) - before < GROWTH_BYTES_MAX, figures
        assert readings[-1] < 1.2 * max(readings[:6]), figures
        assert all(longest < ANSWER_S_MAX for _, longest in paused.values()), figures
        # 2. Killed in the middle, and started again.
        await _more(senders, running, 1)
        await asyncio.to_thread(broker.kill)
        await asyncio.sleep(2)
        await asyncio.to_thread(broker.start)
        await _more(senders, running, 5_000)
        # 3. Stopped under load: what is under way is answered, and the process ends by itself.
        process.send_signal(signal.SIGTERM)
        assert await asyncio.to_thread(process.wait, 90) == 0
    finally:
        senders.stopping = True
        await asyncio.wait_for(running, 300)
    kafka = KafkaOptions(broker.bootstrap_servers)
    stored: set[tuple[str, str]] = set()
    for channel in CATALOGUE.channels:
        stored |= await asyncio.to_thread(_stored, kafka, CATALOGUE.raw(channel))
    assert senders.accepted <= stored, figures


async def _more(senders: Senders, running: "asyncio.Task[None]", number: int) -> None:
    """Wait until so many more events were accepted."""
    wanted = len(senders.accepted) + number
    await until(lambda: running.done() or len(senders.accepted) >= wanted, 240)
    assert not running.done(), running.exception()


def _stored(kafka: KafkaOptions, topic: str) -> set[tuple[str, str]]:
    """Source and id of all events of a topic."""
    events = (msgspec.json.decode(record.value or b"") for record in read_all(kafka, topic, CATALOGUE.partitions))
    return {(event["source"], event["id"]) for event in events}


async def _ready(url: str) -> None:
    async with aiohttp.ClientSession(url) as client, asyncio.timeout(60):
        while True:
            try:
                if (await client.get("/readyz")).status == 200:
                    return
            except aiohttp.ClientError:
                pass
            await asyncio.sleep(0.1)
