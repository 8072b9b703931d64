"""The stores of an installation's data directory: which there may be, and what each is made from."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Final, NamedTuple

from agents.stages import STATEFUL
from connectors.admin.layout import LAYOUT_VERSION as ADMIN_LAYOUT_VERSION
from connectors.serve.layout import LAYOUT_VERSION
from connectors.serve.projection import FOLLOWED
from goldenthread.settings import Settings
from schemas.errors import UsageError
from schemas.topics import Catalogue, Topic
from schemas.yaml_files import suggestion
from streams.store_verification import ExpectedStore

#: The worker's copy of identity's links.
LINKS: Final = "links"
LOOKUP: Final = f"lookup-{LAYOUT_VERSION}"
ADMIN: Final = f"admin-{ADMIN_LAYOUT_VERSION}"


# A partition's store is called `STAGE-PARTITION`.
_PARTITION_STORE: Final = re.compile(rf"({'|'.join(STATEFUL)})-([0-9]{{1,4}})")


class PartitionStore(NamedTuple):
    """Whose state a store holds."""

    stage: str
    partition: int


def partition_store(name: str) -> PartitionStore | None:
    """The stage and partition of a store's name; None of a follower's, or of no store's at all."""
    match = _PARTITION_STORE.fullmatch(name)
    return None if match is None else PartitionStore(match[1], int(match[2]))


def expected_store(catalogue: Catalogue, path: Path) -> ExpectedStore | None:
    """The store that a folder of this name would be; None where it is no store's name."""
    of_partition = partition_store(path.name)
    if of_partition is not None:
        changelog = catalogue.name(STATEFUL[of_partition.stage].changelog)
        return ExpectedStore(path.name, path, frozenset({(changelog, of_partition.partition)}), copied=True)
    followed = {LINKS: (Topic.LINKS,), ADMIN: (Topic.LINKS,), LOOKUP: FOLLOWED}.get(path.name)
    if followed is None:
        return None
    topics = {(catalogue.name(topic), number) for topic in followed for number in range(catalogue.partitions_of(topic))}
    return ExpectedStore(path.name, path, frozenset(topics), copied=False)


def known_topics(catalogue: Catalogue) -> list[str]:
    """The full names of all topics that stores are made from."""
    return sorted({catalogue.name(topic) for topic in (*(one.changelog for one in STATEFUL.values()), *FOLLOWED)})


def worker_folders(settings: Settings) -> list[Path]:
    """The folders of all workers that share the data directory."""
    return sorted(path for path in settings.data_dir.glob("worker-*") if path.is_dir())


def stores_in(catalogue: Catalogue, folder: Path) -> Iterator[ExpectedStore]:
    """The stores of a worker's folder, or of the data directory itself, by name."""
    for path in sorted(folder.iterdir()) if folder.is_dir() else ():
        expected = expected_store(catalogue, path) if path.is_dir() else None
        if expected is not None:
            yield expected


def named(names: list[str], stores: list[ExpectedStore]) -> list[ExpectedStore]:
    """Those of the stores that were asked for, all of them where none was.

    Raises:
        UsageError: there is no store of a name.
    """
    known = [store.name for store in stores]
    for name in names:
        if name not in known:
            raise UsageError(f"there is no store {name!r} here{suggestion(name, known)}")
    return [store for store in stores if not names or store.name in names]
