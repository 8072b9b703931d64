"""Makes the list of jars for a Kafka version: `python -m streams.broker.pin 4.3.0 > streams/broker/kafka-4.3.0.sha256`.

A maintainer runs it for an upgrade and reads the difference; the program itself never resolves anything.
"""

import argparse
import sys
import tempfile
from pathlib import Path, PurePosixPath
from typing import Any, Final

from jgo.maven import MavenContext

from streams.broker.jars import Jar, sha256_of

# Kafka logs through SLF4J and its jars bring Log4j, but not the bridge between the two. Resolved together with Kafka
# the bridge changed other versions, so it is taken alone, in the version of Kafka's own Log4j.
BRIDGE: Final = "org.apache.logging.log4j:log4j-slf4j-impl"
BRIDGED: Final = "log4j-core"


def pin(version: str, repository: Path) -> list[Jar]:
    """Resolve and download everything that a broker of this version needs at runtime."""
    context = MavenContext(repo_cache=repository)
    kafka = runtime_artifacts(context, f"org.apache.kafka:kafka_2.13:{version}")
    log4j = next(artifact.version for artifact in kafka if artifact.artifactId == BRIDGED)
    bridge = runtime_artifacts(context, f"{BRIDGE}:{log4j}")[0]
    paths = [Path(artifact.resolve()) for artifact in [*kafka, bridge]]
    jars = [Jar(PurePosixPath(path.relative_to(repository).as_posix()), sha256_of(path)) for path in paths]
    return sorted(jars, key=lambda jar: jar.path.name)


def runtime_artifacts(context: MavenContext, coordinate: str) -> list[Any]:
    """The artifact of that coordinate, and all that it needs at runtime."""
    inputs, transitive = context.resolver.resolve([context.create_dependency(coordinate)])
    return [
        dependency.artifact for dependency in [*inputs, *(d for d in transitive if d.scope in ("compile", "runtime"))]
    ]


def main() -> None:
    """Write the list to the standard output."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("version", help="of Apache Kafka, such as 4.3.0")
    version = parser.parse_args().version
    with tempfile.TemporaryDirectory() as repository:
        jars = pin(version, Path(repository))
    sys.stdout.write(f"# SHA-256 and place in a Maven repository of what Apache Kafka {version} runs on.\n")
    sys.stdout.writelines(f"{jar.sha256}  {jar.path}\n" for jar in jars)


if __name__ == "__main__":
    main()
