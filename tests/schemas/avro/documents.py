"""Documents of the public topics: what the engines publish, and any that the schemas allow."""

from typing import Any

import msgspec
from hypothesis import strategies as st

from schemas.avro.public_schemas import JSON_PROPERTY, public_schemas
from schemas.topics import Topic

TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=8)
JSON_VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**64 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | TEXTS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXTS, inner, max_size=3),
    max_leaves=6,
)


def documents(topic: Topic) -> st.SearchStrategy[bytes]:
    """Any document that the topic's schema allows, as an engine writes it: optional fields that are null left out."""
    return _values(public_schemas()[topic].schema, {}).map(msgspec.json.encode)


def _values(schema: Any, named: dict[str, Any]) -> st.SearchStrategy[Any]:
    if isinstance(schema, list):
        return st.one_of([_values(branch, named) for branch in schema])
    if isinstance(schema, dict):
        return _complex(schema, named)
    primitives: dict[str, st.SearchStrategy[Any]] = {
        "null": st.none(),
        "string": TEXTS,
        "boolean": st.booleans(),
        "long": st.integers(-(2**63), 2**63 - 1),
    }
    return primitives[schema] if schema in primitives else st.deferred(lambda: named[schema])


def _complex(schema: dict[str, Any], named: dict[str, Any]) -> st.SearchStrategy[Any]:
    if schema["type"] == "array":
        return st.lists(_values(schema["items"], named), max_size=2)
    if schema["type"] == "map":
        return st.dictionaries(TEXTS, _values(schema["values"], named), max_size=2)
    fields = {field["name"]: _field(field, named) for field in schema["fields"]}
    optional = {field["name"] for field in schema["fields"] if "default" in field}
    named[schema["name"]] = st.fixed_dictionaries(fields).map(
        lambda record: {name: record[name] for name in fields if name not in optional or record[name] is not _ABSENT}
    )
    found: st.SearchStrategy[Any] = named[schema["name"]]
    return found


_ABSENT = object()


def _field(field: dict[str, Any], named: dict[str, Any]) -> st.SearchStrategy[Any]:
    if field.get(JSON_PROPERTY):
        return st.just(_ABSENT) | JSON_VALUES if "default" in field else JSON_VALUES
    if "default" in field:
        return st.just(_ABSENT) | _values(field["type"][1], named)
    return _values(field["type"], named)
