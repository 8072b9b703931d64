"""Media types of events, records and bodies; those of CloudEvents are in `schemas.event`."""

from typing import Final

JSON_TYPE: Final = "application/json"
FORM_TYPE: Final = "application/x-www-form-urlencoded"
JSON_LINES_TYPE: Final = "application/x-ndjson"


def media_type_of(content_type: str) -> str:
    """What a content type names, without its parameters, in lower case; empty where it names nothing."""
    return content_type.partition(";")[0].strip().lower()
