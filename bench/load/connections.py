"""HTTP connections that are kept, one request at a time on each: bytes out, status and body in.

Made for load on the machine that is measured: a request costs a few tens of microseconds, far less than by a client
that reads all that HTTP may be. It reads what our services answer: a status, a Content-Length, a body.
"""

import asyncio
from collections import deque
from typing import Final, NamedTuple, Self, cast

_HEAD_END: Final = b"\r\n\r\n"
_LENGTH: Final = b"content-length:"


class Answer(NamedTuple):
    """A status and a body; a status of 0 is a connection that broke off."""

    status: int
    body: bytes


_BROKEN: Final = Answer(0, b"")


class _Connection(asyncio.Protocol):
    """One connection; `ask` is called while nothing else is asked on it."""

    def __init__(self, pool: "Connections") -> None:
        self._pool = pool
        self._buffer = b""
        self._answered: asyncio.Future[Answer] | None = None
        self._transport: asyncio.WriteTransport

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.WriteTransport", transport)

    def ask(self, request: bytes, answered: "asyncio.Future[Answer]") -> None:
        self._answered = answered
        self._transport.write(request)

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        end = self._buffer.find(_HEAD_END)
        if end < 0:
            return
        head = self._buffer[:end].lower()
        at = head.find(_LENGTH)
        length = 0 if at < 0 else int(head[at + len(_LENGTH) :].split(b"\r", 1)[0])
        whole = end + len(_HEAD_END) + length
        if len(self._buffer) < whole:
            return
        body, self._buffer = self._buffer[end + len(_HEAD_END) : whole], self._buffer[whole:]
        self._finish(Answer(int(head[9:12]), body))
        self._pool.freed(self)

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 - whatever it was, nobody answers.
        self._finish(_BROKEN)
        self._pool.lost(self)

    def close(self) -> None:
        self._transport.close()

    def _finish(self, answer: Answer) -> None:
        answered, self._answered = self._answered, None
        if answered is not None and not answered.done():
            answered.set_result(answer)


class Connections:
    """So many connections to one address; a request that finds none free waits its turn. An async context manager."""

    def __init__(self, host: str, port: int, connections_max: int) -> None:
        self._host = host
        self._port = port
        self._connections_max = connections_max
        self._free: list[_Connection] = []
        self._open: set[_Connection] = set()
        self._waiting: deque[tuple[bytes, asyncio.Future[Answer]]] = deque()
        self._closing = False
        self._opening: set[asyncio.Task[None]] = set()

    async def __aenter__(self) -> Self:
        """Open all of them: to open one takes longer than a request does."""
        await asyncio.gather(*(self._connect() for _ in range(self._connections_max)))
        return self

    async def __aexit__(self, *_: object) -> None:
        """Close them."""
        self._closing = True
        for connection in list(self._open):
            connection.close()

    def ask(self, request: bytes) -> "asyncio.Future[Answer]":
        """Send now, or as soon as a connection is free."""
        answered: asyncio.Future[Answer] = asyncio.get_running_loop().create_future()
        if self._free:
            self._free.pop().ask(request, answered)
        else:
            self._waiting.append((request, answered))
        return answered

    def freed(self, connection: _Connection) -> None:
        """Nothing is asked on it any more."""
        if self._waiting:
            connection.ask(*self._waiting.popleft())
        else:
            self._free.append(connection)

    def lost(self, connection: _Connection) -> None:
        """It is closed; another takes its place."""
        self._open.discard(connection)
        if connection in self._free:
            self._free.remove(connection)
        if not self._closing:
            task = asyncio.ensure_future(self._connect())
            self._opening.add(task)
            task.add_done_callback(self._opening.discard)

    async def _connect(self) -> None:
        _, connection = await asyncio.get_running_loop().create_connection(
            lambda: _Connection(self), self._host, self._port
        )
        self._open.add(connection)
        self.freed(connection)


def get(host: str, port: int, path: str) -> bytes:
    """A GET request."""
    return f"GET {path} HTTP/1.1\r\nHost: {host}:{port}\r\nAccept: */*\r\n\r\n".encode()


def post(host: str, port: int, path: str, content_type: str, body: bytes) -> bytes:
    """A POST request."""
    kind = f"Content-Type: {content_type}\r\nContent-Length: {len(body)}"
    return f"POST {path} HTTP/1.1\r\nHost: {host}:{port}\r\n{kind}\r\n\r\n".encode() + body
