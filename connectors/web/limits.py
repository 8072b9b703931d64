"""Bounds of an HTTP service: what one request, one connection and one process may cost."""

from dataclasses import dataclass

MEBIBYTE = 1024 * 1024
#: An encoded body may grow to this whatever its ratio: so little costs nobody anything.
EXPANSION_FREE_BYTES = MEBIBYTE
#: So much of a body has room whatever else arrives: large bodies that never end can't hold up small ones.
BODY_FREE_BYTES = 64 * 1024


@dataclass(frozen=True)
class WebLimits:
    """Bounds with their units; the defaults suit a service on a trusted network or behind a proxy."""

    #: The largest body, checked against Content-Length first and while reading after that.
    body_size_bytes: int = 4 * MEBIBYTE
    #: What the bodies that are arriving may hold together, past BODY_FREE_BYTES of each: connections times the largest
    #: body would be more than a machine has, and some are read before it is known who sends.
    bodies_size_bytes: int = 128 * MEBIBYTE
    #: An encoded body past EXPANSION_FREE_BYTES may grow by this factor; JSON of many alike events stays far below.
    expansion_ratio_max: int = 500
    #: The whole body has to be there by then, so that slow senders end.
    body_timeout_seconds: float = 30.0
    #: The head of a request has to be complete so long after the connection was made or, on one that has served
    #: requests, after the first byte of the next.
    head_timeout_seconds: float = 10.0
    #: A connection on which nothing follows the last answer is closed after this.
    keepalive_seconds: float = 75.0
    #: A connection whose peer takes nothing of an answer for so long is closed.
    answer_timeout_seconds: float = 30.0
    #: Past it a connection on which nothing is asked makes place for a new one, and the new one is closed at once
    #: where there is none: each costs a descriptor and buffers.
    connections_max: int = 1024
    #: The request line, and each header.
    line_size_bytes: int = 8190
    headers_max: int = 64
    #: A stop waits this long for bodies that are still arriving, before it cuts them off,
    shutdown_body_seconds: float = 2.0
    #: and then this long for requests under way.
    shutdown_seconds: float = 15.0
    #: After an answer that came before the whole body, the rest is read and dropped for so long, so that the client
    #: sees the answer instead of a reset.
    lingering_seconds: float = 2.0
