"""The Avro schemas of the public topics, by hand in `.avsc` files beside this module, read once.

Two rules tie them to the JSON that is published where no registry is configured. A field whose default is null is left
out of the JSON while it is null. A field with the property `goldenthread.json` holds JSON text, since its value may be
of any shape, and is that value in the JSON.
"""

import functools
import json
from importlib.resources import files
from importlib.resources.abc import Traversable
from typing import Any, Final, NamedTuple

from schemas.topics import PUBLIC_TOPICS, Topic

#: Property of a field: the text in it is JSON.
JSON_PROPERTY: Final = "goldenthread.json"
_SUFFIX: Final = ".avsc"


class PublicSchema(NamedTuple):
    """A topic's schema: as registered, and decoded."""

    topic: Topic
    text: str
    schema: dict[str, Any]


def subject_of(full_topic_name: str) -> str:
    """The registry's subject of a topic's values, by Confluent's TopicNameStrategy."""
    return f"{full_topic_name}-value"


@functools.cache
def public_schemas() -> dict[Topic, PublicSchema]:
    """The current schema of every public topic."""
    return _schemas_in(files("schemas.avro"))


def released_schemas() -> dict[str, dict[Topic, PublicSchema]]:
    """The schemas of every released version, by version: what consumers out there were built with."""
    folder = files("schemas.avro") / "released"
    return {version.name: _schemas_in(version) for version in sorted(folder.iterdir(), key=lambda each: each.name)}


def _schemas_in(folder: Traversable) -> dict[Topic, PublicSchema]:
    found = {}
    for topic in PUBLIC_TOPICS:
        file = folder / f"{topic}{_SUFFIX}"
        if file.is_file():
            schema = json.loads(file.read_text("utf-8"))
            text = json.dumps(schema, ensure_ascii=False, separators=(",", ":"))
            found[topic] = PublicSchema(topic, text, schema)
    return found
