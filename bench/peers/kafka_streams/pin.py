"""Resolves Kafka Streams from a Maven repository and prints the list of its jars: `python -m ... program|compiler`.

Run by a maintainer for other versions; the output becomes `program.sha256` or `compiler.sha256` beside this file.
"""

import argparse
import sys
import tempfile
from pathlib import Path, PurePosixPath
from typing import Final

from jgo.maven import MavenContext

from streams.broker.jars import KAFKA_VERSION, Jar, sha256_of
from streams.broker.pin import runtime_artifacts

#: Kafka Streams in the broker's version, Jackson's binary format in the version of its Jackson, and what prints its
#: warnings, in the version of its logging interface.
LISTS: Final = {
    "program": (
        f"org.apache.kafka:kafka-streams:{KAFKA_VERSION}",
        "com.fasterxml.jackson.dataformat:jackson-dataformat-smile:2.21.2",
        "org.slf4j:slf4j-simple:1.7.36",
    ),
    "compiler": ("org.eclipse.jdt:ecj:3.45.0",),
}


def pin(name: str, repository: Path) -> list[Jar]:
    """Resolve and download everything of one list; each coordinate by itself, so that none changes another's."""
    context = MavenContext(repo_cache=repository)
    paths = {Path(found.resolve()) for each in LISTS[name] for found in runtime_artifacts(context, each)}
    jars = [Jar(PurePosixPath(path.relative_to(repository).as_posix()), sha256_of(path)) for path in paths]
    return sorted(jars, key=lambda jar: jar.path.name)


def main() -> None:
    """Write the list to the standard output."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("list", choices=sorted(LISTS))
    name = parser.parse_args().list
    with tempfile.TemporaryDirectory() as repository:
        jars = pin(name, Path(repository))
    sys.stdout.write(f"# SHA-256 and place in a Maven repository: {', '.join(LISTS[name])} and what they run on.\n")
    sys.stdout.writelines(f"{jar.sha256}  {jar.path}\n" for jar in jars)


if __name__ == "__main__":
    main()
