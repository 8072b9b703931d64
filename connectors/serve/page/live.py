"""Live updates by server-sent events: one snapshot a second, encoded once, for all who watch.

Each client has a short queue. One that does not keep up loses what it did not take, is told so (`lagged`), and gets
the whole picture anew; one that takes nothing at all is closed. So nobody who watches can hold up or fill anything.

| event | data |
| --- | --- |
| `whole` | a snapshot whose series cover the whole window, and the list of the newest events as HTML |
| `tick` | a snapshot with short series; the list, where it changed |
| `lagged` | updates were left out; `whole` follows |
"""

import asyncio
import contextlib
from collections import deque
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field

import msgspec
from aiohttp import hdrs, web

from connectors.serve.page.activity import WINDOW_SECONDS
from connectors.serve.page.dead_watch import DeadWatch
from connectors.serve.page.newest import NewestEvents
from connectors.serve.page.snapshot import Overview
from schemas.errors import GoldenthreadError
from streams.logs import logger
from streams.metrics import Metrics

log = logger(__name__)


@dataclass(frozen=True)
class LiveLimits:
    """Bounds of the live updates, with their units."""

    clients_max: int = 50
    interval_seconds: float = 1.0
    heartbeat_seconds: float = 15.0
    #: Updates that a client may be behind before they are dropped.
    queue_max: int = 8
    #: A client that takes nothing for so long is closed.
    stalled_seconds: float = 10.0
    #: After which a client that lost the connection tries again.
    retry_ms: int = 3000
    #: A stream ends after this long. The browser comes back by itself, and is let in by a key that still counts or not.
    stream_seconds: float = 300.0


class TooManyClients(GoldenthreadError):
    """As many watch already as may."""


class _Update(msgspec.Struct, omit_defaults=True):
    time: int
    ready: bool
    mood: str
    texts: dict[str, str]
    lag: float | None
    series: dict[str, list[int]]
    #: The lag of the window's seconds, in a whole update.
    lags: list[float | None] = []
    #: The list as HTML, where it changed.
    newest: str | None = None


@dataclass(eq=False)
class _Client:
    transport: asyncio.Transport | None
    queue: deque[bytes] = field(default_factory=deque)
    wake: asyncio.Event = field(default_factory=asyncio.Event)
    lagged: bool = False
    writing: bool = False


class Live:
    """Makes the updates while the service runs, and streams them to clients.

    Args:
        overview: Makes snapshots.
        newest: The newest events.
        render: The list of the newest events as HTML.
        dead: Asked for anew while somebody watches.
        metrics: Where clients are counted.
        limits: Bounds.
    """

    def __init__(
        self,
        overview: Overview,
        newest: NewestEvents,
        *,
        render: Callable[[], str],
        dead: DeadWatch,
        metrics: Metrics,
        limits: LiveLimits | None = None,
    ) -> None:
        self.limits = limits or LiveLimits()
        self._overview = overview
        self._newest = newest
        self._render = render
        self._dead = dead
        self._gauge = metrics.sse_clients
        self._clients: set[_Client] = set()
        self._lags: deque[tuple[int, float | None]] = deque(maxlen=WINDOW_SECONDS)
        self._shown: bytes | None = None
        self._number = 0
        self._closing = asyncio.Event()

    def attach(self, application: web.Application) -> None:
        """Start and stop with the application."""
        application.on_shutdown.append(self._close)
        application.cleanup_ctx.append(self._running)

    async def _running(self, _application: web.Application) -> AsyncIterator[None]:
        ticking = asyncio.create_task(self._tick_for_ever())
        yield
        ticking.cancel()
        await asyncio.gather(ticking, return_exceptions=True)
        await self._dead.stop()

    async def stream(self, request: web.Request, headers: dict[str, str]) -> web.StreamResponse:
        """Answer with updates until the client goes away, the stream's time is over or the service stops.

        Raises:
            TooManyClients: the answer has not begun.
        """
        if len(self._clients) >= self.limits.clients_max or self._closing.is_set():
            raise TooManyClients
        client = _Client(request.transport)
        self._clients.add(client)
        self._gauge.set(len(self._clients))
        try:
            response = web.StreamResponse(
                headers=headers | {hdrs.CONTENT_TYPE: "text/event-stream; charset=utf-8", "X-Accel-Buffering": "no"}
            )
            response.force_close()
            await response.prepare(request)
            with contextlib.suppress(ConnectionError, TimeoutError):
                async with asyncio.timeout(self.limits.stream_seconds):
                    await self._send(client, response)
            return response
        finally:
            self._clients.discard(client)
            self._gauge.set(len(self._clients))

    async def _send(self, client: _Client, response: web.StreamResponse) -> None:
        await self._write(client, response, b"retry: %d\n\n" % self.limits.retry_ms + self._whole())
        while not self._closing.is_set():
            try:
                async with asyncio.timeout(self.limits.heartbeat_seconds):
                    await client.wake.wait()
            except TimeoutError:
                await self._write(client, response, b": still here\n\n")
                continue
            client.wake.clear()
            if client.lagged:
                client.lagged = False
                client.queue.clear()
                await self._write(client, response, b"event: lagged\ndata: {}\n\n" + self._whole())
            while client.queue and not self._closing.is_set():
                await self._write(client, response, client.queue.popleft())

    async def _write(self, client: _Client, response: web.StreamResponse, message: bytes) -> None:
        client.writing = True
        async with asyncio.timeout(self.limits.stalled_seconds):
            await response.write(message)
        client.writing = False

    async def _tick_for_ever(self) -> None:
        while True:
            try:
                self._tick()
            except Exception as error:  # noqa: BLE001 - one update that can't be made must not end all those after it.
                log.warning("live update left out", error=repr(error))
            await asyncio.sleep(self.limits.interval_seconds)

    def _tick(self) -> None:
        snapshot = self._overview.snapshot()
        self._lags.append((snapshot.time, snapshot.lag))
        if not self._clients:
            return
        self._dead.refresh()
        version = self._newest.version()
        newest = None if version == self._shown else self._render()
        self._shown = version
        self._number += 1
        update = _Update(**msgspec.structs.asdict(snapshot), newest=newest)
        message = self._message(b"tick", update)
        for client in self._clients:
            if len(client.queue) >= self.limits.queue_max:
                client.lagged = True
            else:
                client.queue.append(message)
            client.wake.set()

    def _whole(self) -> bytes:
        snapshot = self._overview.snapshot()
        lags = dict(self._lags)
        update = _Update(**msgspec.structs.asdict(snapshot), newest=self._render())
        update.series = self._overview.activity.series(snapshot.time)
        update.lags = [lags.get(second) for second in range(snapshot.time - WINDOW_SECONDS, snapshot.time)]
        return self._message(b"whole", update)

    def _message(self, event: bytes, update: _Update) -> bytes:
        return b"id: %d\nevent: %b\ndata: %b\n\n" % (self._number, event, msgspec.json.encode(update))

    async def _close(self, _application: web.Application) -> None:
        self._closing.set()
        for client in self._clients:
            client.wake.set()
            # One that does not take what was sent would hold up the stop.
            if client.writing and client.transport is not None:
                client.transport.abort()
