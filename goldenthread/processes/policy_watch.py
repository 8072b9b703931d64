"""What keeps a worker to the policy in force: its identity file is what a new installation begins with, and no more."""

import asyncio
from collections.abc import Callable
from typing import Final

from goldenthread.parts import Parts, governed
from goldenthread.settings import variable_name
from schemas.errors import GoldenthreadError, RestartNeeded
from schemas.identity_policy import Policy
from schemas.policy_parts import decode_policy, partition_differences, require_same_routing, shown_part
from schemas.rows import POLICY_ROW_KEY
from state.engine import Rows
from state.identity.policy_in_force import read_policy_row
from streams.logs import logger
from streams.metrics import Metrics

log = logger(__name__)

# A policy that is put in force is obeyed by intake and contexts within this long; identity obeys it at once.
POLICY_WATCH_SECONDS: Final = 1.0


class PolicyWatch:
    """Holds the policy of a worker's file against the one in force.

    Args:
        parts: What the worker is made from; their policy is the file's.
        rows: The worker's copy of identity's links, which has the row of the policy.
        metrics: Told whether the two differ.
        interval_s: How often the row is looked at.
    """

    def __init__(self, parts: Parts, rows: Rows, metrics: Metrics, *, interval_s: float = POLICY_WATCH_SECONDS) -> None:
        self._parts = parts
        self._rows = rows
        self._metrics = metrics
        self._interval_s = interval_s
        self._obeyed = parts.policy
        self._seen: bytes | None = None
        #: The policy of the first start, under which contexts were published that no later one shows otherwise.
        self.first = parts.policy

    def settle(self) -> Parts:
        """The parts under the policy in force, for a worker that starts; under the file's where none is yet.

        Raises:
            PolicyRefused: the file would route events otherwise.
            StateError: a newer version wrote the policy in force.
        """
        self._obeyed = self._in_force()
        return self._parts if self._obeyed == self._parts.policy else governed(self._parts, self._obeyed)

    async def watch(self, fatal: Callable[[BaseException], None]) -> None:
        """End the worker when intake or contexts have to go by another policy: it starts again with that."""
        while True:
            await asyncio.sleep(self._interval_s)
            if self._rows.get(POLICY_ROW_KEY) == self._seen:
                continue
            try:
                in_force = self._in_force()
            except GoldenthreadError as error:
                fatal(error)
                return
            if shown_part(in_force) != shown_part(self._obeyed):
                fatal(RestartNeeded("another identity policy is in force: the worker starts again with it"))
                return

    def _in_force(self) -> Policy:
        self._seen = self._rows.get(POLICY_ROW_KEY)
        row = read_policy_row(self._rows)
        if row is None:
            return self._parts.policy
        in_force = decode_policy(row.policy)
        self.first = decode_policy(row.first) if row.first else in_force
        require_same_routing(self._parts.policy, in_force)
        differences = partition_differences(self._parts.policy, in_force)
        self._metrics.policy_differs.set(bool(differences))
        if differences:
            log.warning(
                "the identity file decides otherwise than the policy in force, which counts: rehearse and apply it, or "
                "put the file back",
                setting=variable_name("identity_file"),
                file_has="; ".join(differences),
            )
        return in_force
