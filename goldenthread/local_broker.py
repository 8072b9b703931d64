"""The local broker of an installation: how it is made, and one for the time of a command that finds none running."""

import contextlib
from collections.abc import Iterator
from typing import Final

from goldenthread.parts import kafka_of
from goldenthread.settings import Settings
from schemas.errors import LoginRefused, NoBroker
from streams.broker.local_broker import LocalBroker
from streams.broker.options import BrokerOptions, default_cache_dir
from streams.topics import wait_for_broker

BROKER_WAIT_SECONDS: Final = 10.0
# A broker of this machine that runs answers at once.
_LOCAL_WAIT_SECONDS: Final = 1.0


def broker_options(settings: Settings) -> BrokerOptions:
    """How the local broker runs."""
    return BrokerOptions(
        data_dir=settings.data_dir / "broker",
        cache_dir=settings.cache_dir or default_cache_dir(),
        port=settings.broker_port,
        controller_port=settings.controller_port,
        heap_mb=settings.broker_heap_mb,
        java=settings.java,
        kafka_home=settings.kafka_home,
        niceness=settings.work_niceness,
    )


@contextlib.contextmanager
def answering_broker(settings: Settings) -> Iterator[None]:
    """A broker that answers: the one that is set, or the local one, which is started where `up` does not run.

    When a worker needs an operator, `up` stops everything, the local broker too; what the operator does needs it.

    Raises:
        NoBroker: none answers where one is set.
    """
    kafka = kafka_of(settings, "state")
    if settings.kafka_bootstrap_servers is not None:
        wait_for_broker(kafka, BROKER_WAIT_SECONDS)
        yield
        return
    try:
        wait_for_broker(kafka, _LOCAL_WAIT_SECONDS)
    except LoginRefused:
        raise
    except NoBroker:
        with LocalBroker(broker_options(settings)):
            yield
    else:
        yield
