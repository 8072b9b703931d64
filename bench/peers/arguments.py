"""The arguments that the peers written in Python take; every peer takes these."""

import argparse
from dataclasses import dataclass
from pathlib import Path
from typing import Final

EXACTLY_ONCE: Final = "exactly-once"
AT_LEAST_ONCE: Final = "at-least-once"


@dataclass(frozen=True)
class PeerArguments:
    """How a peer is to run."""

    bootstrap_servers: str
    #: What the names of the job's topics start with.
    prefix: str
    #: The name of the application: of its consumer group, its changelog and its store.
    application: str
    commit_interval_ms: int
    exactly_once: bool
    #: Where the engine keeps its local store.
    state_dir: Path


def parse_arguments(program: str, *, commit_interval_ms: int) -> PeerArguments:
    """The command line's arguments, with the engine's own default of how often it commits."""
    parser = argparse.ArgumentParser(prog=program)
    parser.add_argument("--bootstrap-servers", required=True)
    parser.add_argument("--prefix", required=True)
    parser.add_argument("--application", required=True)
    parser.add_argument("--commit-interval-ms", type=int, default=commit_interval_ms)
    parser.add_argument("--guarantee", choices=[EXACTLY_ONCE, AT_LEAST_ONCE], default=AT_LEAST_ONCE)
    parser.add_argument("--state-dir", type=Path, required=True)
    given = parser.parse_args()
    return PeerArguments(
        bootstrap_servers=given.bootstrap_servers,
        prefix=given.prefix,
        application=given.application,
        commit_interval_ms=given.commit_interval_ms,
        exactly_once=given.guarantee == EXACTLY_ONCE,
        state_dir=given.state_dir,
    )
