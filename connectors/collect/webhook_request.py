"""What a mapping may know of the request that brought a record: headers and query, without anybody's credentials."""

from collections.abc import Iterable
from typing import Any, Final

from aiohttp import web

from schemas.strict_json import canonical_json

#: What is kept beside a dead letter; a request with more in its headers is read again without them.
KEPT_SIZE_BYTES_MAX: Final = 16 * 1024
_CREDENTIALS: Final = frozenset({"authorization", "proxy-authorization", "cookie", "x-api-key"})


def header_texts(request: web.Request) -> dict[str, str]:
    """The headers by name in lower case; of several of one name the first."""
    texts: dict[str, str] = {}
    for name, value in request.headers.items():
        texts.setdefault(name.lower(), value)
    return texts


def described_request(
    request: web.Request, key_parameters: Iterable[str], concealed: Iterable[str] = ()
) -> dict[str, Any]:
    """Method, headers and query; names are in lower case, credentials are left out.

    Args:
        request: The request.
        key_parameters: Query parameters that may hold a key.
        concealed: Further headers that prove who sends, in lower case.
    """
    left_out = _CREDENTIALS.union(concealed)
    query: dict[str, str] = {}
    for name, value in request.query.items():
        if name.lower() not in key_parameters:
            query.setdefault(_readable(name.lower()), _readable(value))
    headers = {name: _readable(value) for name, value in header_texts(request).items() if name not in left_out}
    return {"method": request.method, "headers": headers, "query": query}


def kept_request(described: dict[str, Any], reads: Iterable[tuple[str, str]]) -> bytes | None:
    """What a mapping `reads` of the request, as JSON: no dead letter holds more of it than it takes to read it again.

    None where that is nothing, or too large to be kept with each letter.
    """
    kept: dict[str, dict[str, Any]] = {}
    for part, name in reads:
        values = described.get(part)
        if isinstance(values, dict) and name in values:
            kept.setdefault(part, {})[name] = values[name]
    encoded = canonical_json(kept)
    return encoded if kept and len(encoded) <= KEPT_SIZE_BYTES_MAX else None


def _readable(text: str) -> str:
    """A text that every reader of UTF-8 takes: bytes that are none become question marks, null bytes go."""
    return text.encode(errors="replace").decode().replace("\0", "")
