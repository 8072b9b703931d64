"""What confluent-kafka raises, as itself: a fatal error of the client comes disguised at times."""

import contextlib
from collections.abc import Iterator

from confluent_kafka import KafkaException


@contextlib.contextmanager
def client_errors() -> Iterator[None]:
    """Let a `KafkaException` through as it is, and find the one that a `SystemError` hides.

    A fatal error is raised while delivery reports are served, by `poll` or `flush` or whatever serves them, and no
    callback is told of it; the reports of the same call then complain that an exception stands there already, and are
    lost.

    Raises:
        KafkaException: what the client raised.
    """
    try:
        yield
    except SystemError as error:
        cause: BaseException | None = error
        while cause is not None and not isinstance(cause, KafkaException):
            cause = cause.__cause__ or cause.__context__
        if cause is None:
            raise
        raise cause from error
