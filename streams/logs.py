"""Logs: structlog for ours and the libraries' alike, lines for people on a terminal, JSON everywhere else.

Personal data is redacted by name of field, whatever is logged: a log line may carry ids that are keyed hashes, codes,
topics and offsets, never a value of an event.
"""

import logging
import re
import sys
from collections.abc import MutableMapping
from typing import Any, Final, TextIO

import structlog

REDACTED: Final = "[redacted]"
#: Fields whose values are people's: what an event says and what identifies somebody.
PERSONAL_FIELDS: Final = frozenset(
    {"data", "email", "identifier", "identifiers", "phone", "summary", "traits", "value", "body", "original", "query"}
)
# Libraries sometimes put values into their messages; addresses and numbers are recognised by shape.
_PERSONAL_SHAPES: Final = re.compile(r"[\w.+-]+@[\w-]+(?:\.[\w-]+)+|\+\d{7,15}\b")
# Libraries that speak too much at INFO.
_QUIET: Final = ("aiokafka", "faust", "mode", "aiohttp.access", "asyncio", "jgo")


def redact(_logger: Any, _name: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """Structlog processor: hides personal fields, and addresses and numbers inside texts."""
    for field, value in event.items():
        if field in PERSONAL_FIELDS:
            event[field] = REDACTED
        elif isinstance(value, str):
            event[field] = _PERSONAL_SHAPES.sub(REDACTED, value)
    return event


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
        else [structlog.processors.format_exc_info, redact, structlog.processors.JSONRenderer()]
    )
    formatter = structlog.stdlib.ProcessorFormatter(
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
        processors=[structlog.stdlib.filter_by_level, *shared, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=True,
    )


def logger(name: str) -> structlog.stdlib.BoundLogger:
    """A logger that carries the name of its module."""
    bound: structlog.stdlib.BoundLogger = structlog.stdlib.get_logger(name)
    return bound
