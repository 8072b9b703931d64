"""The functions that mapping expressions have besides JMESPath's own. Reference: docs/mapping.md.

A missing or empty value gives nothing, so a mapping needs no guards. What can't be done is an `EventError` of the
record, never a wrong guess.
"""

import hashlib
import re
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from decimal import Decimal
from functools import lru_cache
from typing import Any, Final
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import msgspec
from jmespath import functions

from schemas.errors import DeadCode, EventError, SettingError
from schemas.event import TRANSPORT_FIELDS
from schemas.limits import EVENT_SIZE_BYTES_MAX
from schemas.strict_json import canonical_json, read_json
from schemas.times import MICROSECONDS_PER_SECOND, format_time

_UNITS_PER_SECOND: Final = {"s": 1, "ms": 1_000, "us": 1_000_000}
_TRUE: Final = frozenset({"true", "t", "yes", "y", "on", "1"})
_FALSE: Final = frozenset({"false", "f", "no", "n", "off", "0"})
_NUMBER: Final = re.compile(r"[+-]?\d{1,18}(\.\d{1,18})?", re.ASCII)
_CACHED_ZONES_MAX: Final = 64
#: Characters that a function may make: no larger text fits in an event, and a record alone may not fill the memory.
TEXT_LENGTH_MAX: Final = EVENT_SIZE_BYTES_MAX
_DIGEST_LENGTH_BYTES: Final = 16
#: Names that a record has besides its own where a mapping reads them: how it came, and when.
REQUEST_NAME: Final = "_request"
RECEIVED_NAME: Final = "_received"
RESERVED_NAMES: Final = frozenset({REQUEST_NAME, RECEIVED_NAME})

# JMESPath's notation of arguments: no types is any, a variadic last one may come again.
_ANY: Final[Any] = {"types": []}
_MORE: Final[Any] = {"types": [], "variadic": True}


def failed(message: str) -> EventError:
    """What a row that can't be mapped comes to."""
    return EventError(DeadCode.MAPPING_FAILED, message)


@lru_cache(maxsize=_CACHED_ZONES_MAX)
def zone_of(name: str) -> ZoneInfo:
    """The IANA time zone of a name such as `Europe/Amsterdam`.

    Raises:
        SettingError: there is none.
    """
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise SettingError(f"{name!r} is no time zone such as Europe/Amsterdam or UTC") from None


class MappingFunctions(functions.Functions):
    """JMESPath's functions and ours, over the tables of one mapping.

    `transient` names what differs between copies of a record, besides what always does.
    """

    def __init__(self, tables: Mapping[str, Mapping[str, Any]], transient: Iterable[str] = ()) -> None:
        super().__init__()
        self.tables = tables
        self._fleeting = TRANSPORT_FIELDS | RESERVED_NAMES | frozenset(transient)

    @property
    def names(self) -> frozenset[str]:
        """All that an expression may call."""
        return frozenset(self.FUNCTION_TABLE)

    def lasting(self, value: Any) -> Any:
        """A record without what tells how it travelled; anything else as it is."""
        if isinstance(value, dict) and not self._fleeting.isdisjoint(value):
            return {name: child for name, child in value.items() if name not in self._fleeting}
        return value

    @functions.signature(_MORE)
    def _func_digest(self, *values: Any) -> Any:
        if all(value in (None, "") for value in values):
            return None
        lasting = [self.lasting(value) for value in values]
        return hashlib.blake2b(canonical_json(lasting), digest_size=_DIGEST_LENGTH_BYTES).hexdigest()

    @functions.signature(_ANY)
    def _func_json(self, value: Any) -> Any:
        if not isinstance(value, str):
            return value
        try:
            return read_json(value.encode()) if value.strip() else None
        except EventError as error:
            raise failed(f"the text is no JSON that can be taken: {error.message}") from None

    @functions.signature({"types": ["string"]}, _MORE)
    def _func_lookup(self, table: str, key: Any, *default: Any) -> Any:
        entries = self.tables.get(table)
        if entries is None:
            raise failed(f"there is no table {table!r}")
        text = _text(key)
        if text in entries:
            return entries[text]
        if default:
            return default[0]
        if not text:
            return None
        raise failed(f"table {table!r} has no entry for {text[:64]!r}")

    @functions.signature(_ANY, {"types": ["string"]})
    def _func_date(self, value: Any, zone: str) -> Any:
        return _moment(value, "%Y-%m-%d", zone)

    @functions.signature(_ANY, {"types": ["string"], "variadic": True})
    def _func_time(self, value: Any, layout: str, zone: str = "UTC") -> Any:
        return _moment(value, layout, zone)

    @functions.signature({"types": [], "variadic": True})
    def _func_iso(self, value: Any, zone: str = "UTC") -> Any:
        text = _text(value).strip()
        if not text:
            return None
        try:
            return _format(datetime.fromisoformat(text), zone)
        except ValueError:
            raise failed(f"{text[:64]!r} is no ISO 8601 time") from None

    @functions.signature({"types": [], "variadic": True})
    def _func_epoch(self, value: Any, unit: str = "s") -> Any:
        units = _UNITS_PER_SECOND.get(unit)
        if units is None:
            raise failed(f"epoch counts {', '.join(_UNITS_PER_SECOND)}, not {unit!r}")
        number = _number(value)
        if number is None:
            return None
        try:
            return format_time(int(number * MICROSECONDS_PER_SECOND) // units)
        except (OverflowError, ValueError):
            raise failed(f"{number} {unit} since 1970 is no time") from None

    @functions.signature(_ANY)
    def _func_text(self, value: Any) -> Any:
        return None if value is None else _text(value)

    @functions.signature(_ANY)
    def _func_trim(self, value: Any) -> Any:
        return _text(value).strip() or None

    @functions.signature(_ANY)
    def _func_lower(self, value: Any) -> Any:
        return _text(value).lower() or None

    @functions.signature(_ANY)
    def _func_upper(self, value: Any) -> Any:
        return _text(value).upper() or None

    @functions.signature(_ANY, {"types": ["string"]})
    def _func_split(self, value: Any, separator: str) -> Any:
        if not separator:
            raise failed("split needs a separator")
        return [part.strip() for part in _text(value).split(separator) if part.strip()]

    @functions.signature(_ANY, {"types": ["string"]}, {"types": ["string"]})
    def _func_replace(self, value: Any, old: str, new: str) -> Any:
        if not old:
            raise failed("replace needs something to replace")
        text = _text(value)
        _reject_long(len(text) + text.count(old) * (len(new) - len(old)))
        return text.replace(old, new) or None

    @functions.signature({"types": ["string"]}, {"types": ["array-string"]})
    def _func_join(self, separator: str, texts: list[str]) -> Any:
        _reject_long(sum(map(len, texts)) + len(separator) * max(len(texts) - 1, 0))
        return separator.join(texts)

    @functions.signature(_MORE)
    def _func_coalesce(self, *values: Any) -> Any:
        return next((value for value in values if value not in (None, "")), None)

    @functions.signature(_MORE)
    def _func_concat(self, *values: Any) -> Any:
        texts = [_text(value) for value in values]
        _reject_long(sum(map(len, texts)))
        return "".join(texts) if all(texts) else None

    @functions.signature({"types": [], "variadic": True})
    def _func_number(self, value: Any, decimal_mark: str = ".") -> Any:
        return _number(value, decimal_mark)

    @functions.signature(_ANY, {"types": ["number"]})
    def _func_scale(self, value: Any, factor: float) -> Any:
        number = _number(value)
        if number is None:
            return None
        # As people reckon: 13990 cents are 139.9, and nothing is left over by the binary system.
        try:
            scaled = Decimal(str(number)) * Decimal(str(factor))
        except ArithmeticError:
            scaled = Decimal("nan")
        if not scaled.is_finite():
            raise failed(f"{str(number)[:64]} can't be scaled by {factor}")
        return int(scaled) if scaled == scaled.to_integral_value() else float(scaled)

    @functions.signature(_ANY)
    def _func_bool(self, value: Any) -> Any:
        text = _text(value).strip().lower()
        if not text:
            return None
        if text in _TRUE:
            return True
        if text in _FALSE:
            return False
        raise failed(f"{text[:64]!r} is neither yes nor no")


def _reject_long(length: int) -> None:
    if length > TEXT_LENGTH_MAX:
        raise failed(f"a text of {length} characters, at most {TEXT_LENGTH_MAX} are made")


def _text(value: Any) -> str:
    """Text stays, nothing is the empty text, all else is its JSON."""
    if isinstance(value, str):
        return value
    return "" if value is None else msgspec.json.encode(value).decode()


def _moment(value: Any, layout: str, zone: str) -> str | None:
    text = _text(value).strip()
    if not text:
        return None
    try:
        return _format(datetime.strptime(text, layout), zone)  # noqa: DTZ007 - the zone is put in below.
    except (ValueError, re.error):
        raise failed(f"{text[:64]!r} is no time in the form {layout!r}") from None


def _format(moment: datetime, zone: str) -> str:
    """RFC 3339; the zone is for times that carry no offset."""
    if moment.tzinfo is None:
        try:
            moment = moment.replace(tzinfo=zone_of(zone))
        except SettingError as error:
            raise failed(str(error)) from None
    try:
        return moment.astimezone(UTC).isoformat().replace("+00:00", "Z")
    except OverflowError:
        raise failed(f"{moment.isoformat()} is out of range") from None


def _number(value: Any, decimal_mark: str = ".") -> int | float | None:
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        return value
    text = _text(value).strip()
    if not text:
        return None
    if decimal_mark == ",":
        text = text.replace(".", "").replace(",", ".")
    elif decimal_mark == ".":
        text = text.replace(",", "")
    else:
        raise failed(f"a decimal mark is '.' or ',', not {decimal_mark!r}")
    if _NUMBER.fullmatch(text) is None:
        raise failed(f"{text[:64]!r} is no number")
    return float(text) if "." in text else int(text)
