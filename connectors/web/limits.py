"""Bounds of an HTTP service: what one request, one connection and one process may cost."""

from dataclasses import dataclass

MEBIBYTE = 1024 * 1024


@dataclass(frozen=True)
class WebLimits:
    """Bounds with their units; the defaults suit a service on a trusted network or behind a proxy."""

    #: The largest body, checked against Content-Length first and while reading after that.
    body_size_bytes: int = 4 * MEBIBYTE
    #: The whole body has to be there by then, so that slow senders end.
    body_timeout_seconds: float = 30.0
    #: An idle connection, or one that has not finished its first headers, is closed after this.
    keepalive_seconds: float = 75.0
    #: Past it new connections are closed at once: each costs a descriptor and buffers.
    connections_max: int = 1024
    #: The request line, and each header.
    line_size_bytes: int = 8190
    headers_max: int = 64
    #: A stop waits this long for requests under way.
    shutdown_seconds: float = 15.0
    #: After an answer that came before the whole body, the rest is read and dropped for so long, so that the client
    #: sees the answer instead of a reset.
    lingering_seconds: float = 2.0
