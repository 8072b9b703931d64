"""Any schema with a value of it and the JSON that the value has to become, for whoever tests readers."""

import base64
import io
import math
import random
import struct
from typing import Any, NamedTuple

import fastavro
from hypothesis import strategies as st

from tests.schemas.avro.documents import TEXTS


def mutated(whole: bytes, dice: random.Random) -> bytes:
    """The bytes with a few of them changed, cut, added or left out."""
    body = bytearray(whole)
    for _ in range(dice.randint(1, 4)):
        place = dice.randrange(len(body) + 1)
        sort = dice.randrange(4)
        if sort == 0:
            body[place : place + 1] = dice.randbytes(1)
        elif sort == 1:
            del body[place:]
        elif sort == 2:
            body[place:place] = dice.randbytes(dice.randint(1, 9))
        else:
            del body[place : place + dice.randint(1, 5)]
    return bytes(body)


class Sample(NamedTuple):
    """A schema, a value as fastavro takes it, and the same as JSON."""

    schema: Any
    value: Any
    json: Any


def written(sample: Sample) -> bytes:
    """The sample's value in Avro, by an independent writer."""
    body = io.BytesIO()
    fastavro.schemaless_writer(body, fastavro.parse_schema(sample.schema), sample.value)
    return body.getvalue()


def _number(value: float) -> Any:
    return value if math.isfinite(value) else "NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"


def _single(value: float) -> float:
    found: float = struct.unpack("<f", struct.pack("<f", value))[0]
    return found


def _same(kind: str, values: st.SearchStrategy[Any]) -> st.SearchStrategy[Sample]:
    return values.map(lambda value: Sample(kind, value, value))


_SIMPLE = st.one_of(
    st.just(Sample("null", None, None)),
    _same("boolean", st.booleans()),
    _same("int", st.integers(-(2**31), 2**31 - 1)),
    _same("long", st.integers(-(2**63), 2**63 - 1)),
    _same("string", TEXTS),
    st.floats().map(lambda value: Sample("double", value, _number(value))),
    st.floats(width=32).map(lambda value: Sample("float", value, _number(_single(value)))),
    st.binary(max_size=9).map(lambda value: Sample("bytes", value, base64.b64encode(value).decode())),
)


@st.composite
def samples(draw: st.DrawFn, depth: int = 3) -> Sample:
    """Any sample; names of types don't repeat."""
    return _renamed(draw(_samples(depth)))


def _samples(depth: int) -> st.SearchStrategy[Sample]:
    if depth == 0:
        return _SIMPLE
    inner = _samples(depth - 1)
    return st.one_of(_SIMPLE, _arrays(inner), _maps(inner), _records(inner), _unions(inner), _ENUMS, _FIXED)


def _arrays(inner: st.SearchStrategy[Sample]) -> st.SearchStrategy[Sample]:
    return st.tuples(inner, st.integers(0, 3)).map(
        lambda drawn: Sample(
            {"type": "array", "items": drawn[0].schema}, [drawn[0].value] * drawn[1], [drawn[0].json] * drawn[1]
        )
    )


def _maps(inner: st.SearchStrategy[Sample]) -> st.SearchStrategy[Sample]:
    return st.tuples(inner, st.lists(TEXTS, max_size=3, unique=True)).map(
        lambda drawn: Sample(
            {"type": "map", "values": drawn[0].schema},
            dict.fromkeys(drawn[1], drawn[0].value),
            dict.fromkeys(drawn[1], drawn[0].json),
        )
    )


def _records(inner: st.SearchStrategy[Sample]) -> st.SearchStrategy[Sample]:
    def record(fields: list[Sample]) -> Sample:
        named = [(f"f{place}", each) for place, each in enumerate(fields)]
        return Sample(
            {"type": "record", "name": "R", "fields": [{"name": name, "type": each.schema} for name, each in named]},
            {name: each.value for name, each in named},
            {name: each.json for name, each in named},
        )

    return st.lists(inner, max_size=4).map(record)


def _unions(inner: st.SearchStrategy[Sample]) -> st.SearchStrategy[Sample]:
    def union(one: Sample) -> Sample:
        # A union holds neither another one nor null twice.
        is_union = isinstance(one.schema, list) or one.schema == "null"
        return one if is_union else one._replace(schema=["null", one.schema])

    return inner.map(union)


_ENUMS = st.sampled_from(["A", "B"]).map(
    lambda symbol: Sample({"type": "enum", "name": "E", "symbols": ["A", "B"]}, symbol, symbol)
)
_FIXED = st.binary(min_size=3, max_size=3).map(
    lambda value: Sample({"type": "fixed", "name": "F", "size": 3}, value, base64.b64encode(value).decode())
)


def _renamed(sample: Sample) -> Sample:
    count = 0

    def rename(schema: Any) -> Any:
        nonlocal count
        if isinstance(schema, list):
            return [rename(each) for each in schema]
        if not isinstance(schema, dict):
            return schema
        renamed = {key: rename(value) if key in {"items", "values", "type"} else value for key, value in schema.items()}
        if "name" in schema:
            count += 1
            renamed["name"] = f"{schema['name']}{count}"
        if "fields" in schema:
            renamed["fields"] = [{**each, "type": rename(each["type"])} for each in schema["fields"]]
        return renamed

    return sample._replace(schema=rename(sample.schema))
