"""Logs: structlog for ours and the libraries' alike, lines for people on a terminal, JSON everywhere else.

Personal data is redacted by name of field, whatever is logged: a log line may carry ids that are keyed hashes, codes,
topics and offsets, never a value of an event.
"""

import json
import logging
import re
import sys
from collections.abc import MutableMapping
from typing import Any, Final, TextIO

import msgspec
import structlog

REDACTED: Final = "[redacted]"
#: Fields whose values are people's: what an event says and what identifies somebody.
PERSONAL_FIELDS: Final = frozenset(
    {"data", "email", "identifier", "identifiers", "phone", "summary", "traits", "value", "body", "original", "query"}
)
# Libraries sometimes put values into their messages; addresses and numbers are recognised by shape.
_PERSONAL_SHAPES: Final = re.compile(r"[\w.+-]+@[\w-]+(?:\.[\w-]+)+|\+\d{7,15}\b")
# Says of a record of the standard library that its message is a whole line.
_RENDERED: Final = "goldenthread_rendered"
_ENCODER: Final = msgspec.json.Encoder(enc_hook=repr)
# Libraries that speak too much at INFO.
_QUIET: Final = ("aiokafka", "faust", "mode", "aiohttp.access", "asyncio", "jgo")


def redact(_logger: Any, _name: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """Structlog processor: hides personal fields, and addresses and numbers inside texts."""
    for field, value in event.items():
        if field in PERSONAL_FIELDS:
            event[field] = REDACTED
        # Every shape has one of these two signs in it; most texts have neither.
        elif isinstance(value, str) and ("@" in value or "+" in value):
            event[field] = _PERSONAL_SHAPES.sub(REDACTED, value)
    return event


class _Lines(structlog.stdlib.ProcessorFormatter):
    """Renders what libraries log; our own lines come rendered."""

    def format(self, record: logging.LogRecord) -> str:
        return record.msg if hasattr(record, _RENDERED) else super().format(record)


def _rendered(_logger: Any, _name: str, event: MutableMapping[str, Any]) -> tuple[tuple[str], dict[str, Any]]:
    """Structlog's last processor for our own lines: one line of JSON.

    A service writes a line for each request. Rendered here, once, it is not copied into a second record and through a
    second chain of processors first, as what libraries log has to be, which cost as much again.
    """
    return (_dumped(event),), {"extra": {_RENDERED: True}}


def _dumped(event: Any, **_: Any) -> str:
    try:
        return _ENCODER.encode(event).decode()
    except (TypeError, ValueError, OverflowError):
        # Half a surrogate pair, an integer past 64 bits: what is logged is not always what it ought to be.
        return json.dumps(event, default=repr, skipkeys=True)


def configure_logs(level: str = "INFO", stream: TextIO | None = None) -> None:
    """Route everything through one handler on `stream` (standard error); JSON lines unless it is a terminal."""
    target = stream or sys.stderr
    people = target.isatty()
    shared: list[Any] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_logger_name,
        structlog.stdlib.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.stdlib.PositionalArgumentsFormatter(),
    ]
    # On a terminal the renderer draws tracebacks itself; elsewhere they become one more redacted text.
    last: list[Any] = (
        [redact, structlog.dev.ConsoleRenderer(exception_formatter=structlog.dev.plain_traceback)]
        if people
        else [structlog.processors.format_exc_info, redact, structlog.processors.JSONRenderer(_dumped)]
    )
    ours = [structlog.stdlib.ProcessorFormatter.wrap_for_formatter] if people else [*last[:-1], _rendered]
    formatter = _Lines(
        foreign_pre_chain=shared,
        processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, *last],
    )
    handler = logging.StreamHandler(target)
    handler.setFormatter(formatter)
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level)
    for name in _QUIET:
        logging.getLogger(name).setLevel(max(logging.WARNING, root.level))
    structlog.configure(
        processors=[structlog.stdlib.filter_by_level, *shared, *ours],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=True,
    )


def logger(name: str) -> structlog.stdlib.BoundLogger:
    """A logger that carries the name of its module."""
    bound: structlog.stdlib.BoundLogger = structlog.stdlib.get_logger(name)
    return bound
