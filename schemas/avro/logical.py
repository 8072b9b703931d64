"""Logical types as JSON has them: times as RFC 3339 in UTC, dates, decimals and UUIDs as text."""

import uuid
from collections.abc import Callable
from datetime import date, timedelta
from decimal import Decimal
from typing import Any, Final

from schemas.times import MICROSECONDS_PER_DAY, format_time

# The digits of a longer decimal would cost more time than they are worth, and no currency has them.
DECIMAL_SIZE_BYTES_MAX: Final = 64
_PRECISION_MAX: Final = 160
_EPOCH_DAY: Final = date(1970, 1, 1)
_YEAR_1_US: Final = (date.min - _EPOCH_DAY).days * MICROSECONDS_PER_DAY
_YEAR_10000_US: Final = ((date.max - _EPOCH_DAY).days + 1) * MICROSECONDS_PER_DAY
_DURATION_SIZE_BYTES: Final = 12
_UUID_SIZE_BYTES: Final = 16

#: What an Avro primitive was read as, to JSON. Raises ValueError where the value means nothing.
Conversion = Callable[[Any], Any]


def conversion_of(schema: dict[str, Any]) -> Conversion | None:
    """How values of a type with a logical type become JSON.

    None where there is nothing to convert: Avro asks that an unknown or ill-defined logical type is ignored.
    """
    logical, base = schema.get("logicalType"), schema["type"]
    if logical == "decimal" and base in {"bytes", "fixed"}:
        return _decimal(schema)
    if logical == "uuid" and base == "fixed":
        return _uuid if schema.get("size") == _UUID_SIZE_BYTES else None
    if logical == "duration" and base == "fixed":
        return _duration if schema.get("size") == _DURATION_SIZE_BYTES else None
    return _OF_NUMBERS.get((base, logical)) if isinstance(logical, str) else None


def _decimal(schema: dict[str, Any]) -> Conversion | None:
    precision, scale = schema.get("precision"), schema.get("scale", 0)
    if type(precision) is not int or type(scale) is not int or not 0 <= scale <= precision <= _PRECISION_MAX:
        return None

    def convert(content: bytes) -> str:
        if len(content) > DECIMAL_SIZE_BYTES_MAX:
            raise ValueError(f"a decimal of {len(content)} bytes, at most {DECIMAL_SIZE_BYTES_MAX} are taken")
        unscaled = int.from_bytes(content, "big", signed=True)
        digits = tuple(int(digit) for digit in str(abs(unscaled)))
        return format(Decimal((int(unscaled < 0), digits, -scale)), "f")

    return convert


def _uuid(content: bytes) -> str:
    return str(uuid.UUID(bytes=content))


def _duration(content: bytes) -> str:
    """ISO 8601, in Avro's own units."""
    months, days, millis = (int.from_bytes(content[at : at + 4], "little") for at in (0, 4, 8))
    return f"P{months}M{days}DT{millis // 1000}.{millis % 1000:03d}S"


def _moment(microseconds: int) -> str:
    if not _YEAR_1_US <= microseconds < _YEAR_10000_US:
        raise ValueError("a time before the year 1 or after 9999")
    return format_time(microseconds)


def _date(days: int) -> str:
    try:
        return (_EPOCH_DAY + timedelta(days=days)).isoformat()
    except OverflowError:
        raise ValueError("a date before the year 1 or after 9999") from None


def _clock(microseconds: int) -> str:
    if not 0 <= microseconds < MICROSECONDS_PER_DAY:
        raise ValueError("a time of day past its day")
    return format_time(microseconds)[len("1970-01-01T") : -1]


_OF_NUMBERS: Final[dict[tuple[Any, str], Conversion]] = {
    ("int", "date"): _date,
    ("int", "time-millis"): lambda value: _clock(value * 1000),
    ("long", "time-micros"): _clock,
    ("long", "timestamp-millis"): lambda value: _moment(value * 1000),
    ("long", "timestamp-micros"): _moment,
    ("long", "timestamp-nanos"): lambda value: _moment(value // 1000),
    ("long", "local-timestamp-millis"): lambda value: _moment(value * 1000)[:-1],
    ("long", "local-timestamp-micros"): lambda value: _moment(value)[:-1],
    ("long", "local-timestamp-nanos"): lambda value: _moment(value // 1000)[:-1],
}
