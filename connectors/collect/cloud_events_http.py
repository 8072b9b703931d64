"""CloudEvents over HTTP (its HTTP protocol binding 1.0): which mode a request is in, and the attributes of binary mode.

The content type decides: `application/cloudevents+json` is structured, `application/cloudevents-batch+json` a batch;
`application/json` with `ce-` headers is binary, without them a structured event or a batch, as its first byte says.
"""

import re
from enum import Enum
from typing import Final
from urllib.parse import unquote

from multidict import CIMultiDictProxy

from schemas.errors import DeadCode, EventError
from schemas.event import BATCH_CONTENT_TYPE, STRUCTURED_CONTENT_TYPE
from schemas.media_types import JSON_TYPE
from schemas.strict_json import pointer_to

MEDIA_TYPES: Final = (STRUCTURED_CONTENT_TYPE, BATCH_CONTENT_TYPE, JSON_TYPE)
PREFIX: Final = "ce-"
_ESCAPED: Final = re.compile(r"\\(.)")


class Mode(Enum):
    """How a request holds its events."""

    STRUCTURED = "structured"
    BATCH = "batch"
    BINARY = "binary"


def mode_of(media_type: str, headers: CIMultiDictProxy[str], body: bytes) -> Mode:
    """The mode of a request whose content type is one of `MEDIA_TYPES`."""
    if media_type == BATCH_CONTENT_TYPE:
        return Mode.BATCH
    if media_type == STRUCTURED_CONTENT_TYPE:
        return Mode.STRUCTURED
    if any(name.lower().startswith(PREFIX) for name in headers):
        return Mode.BINARY
    return Mode.BATCH if body.lstrip()[:1] == b"[" else Mode.STRUCTURED


def binary_attributes(headers: CIMultiDictProxy[str]) -> dict[str, str]:
    """The attributes of a binary-mode request by name, unquoted and percent-decoded.

    Raises:
        EventError: an attribute comes twice, or is no UTF-8.
    """
    attributes: dict[str, str] = {"datacontenttype": headers.get("Content-Type", JSON_TYPE)}
    for header, value in headers.items():
        name = header.lower()
        if not name.startswith(PREFIX):
            continue
        attribute = name.removeprefix(PREFIX)
        pointer = pointer_to("", attribute)
        if attribute in attributes:
            raise EventError(DeadCode.WRONG_ATTRIBUTE, f"header {name} comes more than once or is reserved", pointer)
        quoted = len(value) >= 2 and value.startswith('"') and value.endswith('"')
        try:
            attributes[attribute] = unquote(_ESCAPED.sub(r"\1", value[1:-1]) if quoted else value, errors="strict")
        except UnicodeDecodeError as error:
            raise EventError(DeadCode.INVALID_UTF8, f"header {name} is no UTF-8: {error.reason}", pointer) from None
    return attributes
