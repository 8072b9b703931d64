"""What the headers of a Kafka record say about Avro, and what they say once it is read as JSON."""

from collections.abc import Sequence
from typing import Final

from schemas.event import CONTENT_TYPE_HEADER, STRUCTURED_CONTENT_TYPE
from schemas.media_types import JSON_TYPE, media_type_of
from schemas.topics import Header

_STRUCTURED: Final = "application/cloudevents"


def declares_avro(headers: Sequence[Header]) -> bool:
    """Whether the content type is one of Avro, such as application/avro or application/cloudevents+avro."""
    media = _media(headers)
    return "avro" in media and not media.endswith("+json")


def headers_of_json(headers: Sequence[Header]) -> list[Header]:
    """The headers of the same event in JSON."""
    json_type = (STRUCTURED_CONTENT_TYPE if _media(headers).startswith(_STRUCTURED) else JSON_TYPE).encode()
    return [(name, json_type if name.lower() == CONTENT_TYPE_HEADER else content) for name, content in headers]


def _media(headers: Sequence[Header]) -> str:
    for name, content in headers:
        if name.lower() == CONTENT_TYPE_HEADER:
            # A header may have no value at all.
            return media_type_of((content or b"").decode("utf-8", "replace"))
    return ""
