"""What the headers of a Kafka record say about Avro, and what they say once it is read as JSON."""

from collections.abc import Sequence
from typing import Final

from schemas.event import CONTENT_TYPE_HEADER, STRUCTURED_CONTENT_TYPE

_JSON: Final = b"application/json"
_STRUCTURED: Final = "application/cloudevents"

Header = tuple[str, bytes]


def declares_avro(headers: Sequence[Header]) -> bool:
    """Whether the content type is one of Avro, such as application/avro or application/cloudevents+avro."""
    media = _media(headers)
    return "avro" in media and not media.endswith("+json")


def headers_of_json(headers: Sequence[Header]) -> list[Header]:
    """The headers of the same event in JSON."""
    content_type = STRUCTURED_CONTENT_TYPE.encode() if _media(headers).startswith(_STRUCTURED) else _JSON
    return [(name, content_type if name.lower() == CONTENT_TYPE_HEADER else content) for name, content in headers]


def _media(headers: Sequence[Header]) -> str:
    for name, content in headers:
        if name.lower() == CONTENT_TYPE_HEADER:
            # A header may have no value at all.
            return (content or b"").decode("utf-8", "replace").partition(";")[0].strip().lower()
    return ""
