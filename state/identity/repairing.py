"""Obeying another policy, and repairing what was decided before it or before a source was split off.

`repair` says what is to be done in which order; this does it, with everything that decides.
"""

from schemas.errors import DeadCode, EventError, StateError
from schemas.identity_changes import Cause
from schemas.identity_policy import Grade
from schemas.messages import PolicyChange, Repair, encode
from schemas.orders import OPERATOR_SOURCE, POLICY, UNDO, Verb
from schemas.policy_parts import decode_policy, partition_differences, routing_differences
from schemas.rows import SPLIT_OFF, PolicyRow, SplitRow
from schemas.times import format_time
from schemas.topics import Topic
from state.engine import Output
from state.identity.deciding import Deciding
from state.identity.orders import POLICY_ORDER
from state.identity.policy_in_force import PolicyInForce
from state.identity.repair import Again, RepairRuns
from state.identity.touched import Touched

# The run of an undo is called so, and then as the order; no order's id has such a character.
_UNDONE = "undo/"
# Marks what an upgrade found.
_UPGRADE_RUN = "upgrade"


class Repairing:
    """Everything large that happens to decisions of before.

    Args:
        deciding: what decides; it is governed by the policy in force.
        in_force: the policy in force.
        runs: the repairs.
    """

    def __init__(self, deciding: Deciding, in_force: PolicyInForce, runs: RepairRuns) -> None:
        self._deciding = deciding
        self._in_force = in_force
        self._runs = runs
        if in_force.upgrades and in_force.policy.unlinkable:
            runs.begin_policy(_UPGRADE_RUN, 0, marks=True)
        # Nobody knows whether what asks for the next step is in the log: a gap may have taken it.
        self._ask(runs.pending())

    def change_policy(self, change: PolicyChange, offset: int) -> bool:
        """Put another policy in force, and begin to decide again; False where it is in force already.

        1. Read it, and refuse one under which events would go to other fragments.
        2. Put it in force.
        3. Begin the repair, where it decides anything otherwise.

        Raises:
            EventError: it can't be read, or would route otherwise.
        """
        in_force = self._in_force
        if change.id == in_force.row.change:
            return False
        # 1. Read.
        try:
            policy = decode_policy(change.policy)
        except StateError as error:
            raise EventError(DeadCode.UNREADABLE_MESSAGE, str(error)) from None
        before = in_force.policy
        if differences := routing_differences(policy, before):
            message = f"the policy would route events otherwise, which is a migration: {'; '.join(differences)}"
            raise EventError(DeadCode.UNREADABLE_MESSAGE, message)
        # 2. Put in force.
        first = in_force.row.first or in_force.row.policy
        row = PolicyRow(change.policy, change.id, change.time, change.author, change.reason, offset, first)
        in_force.put(policy, row)
        self._deciding.govern(policy)
        # 3. Repair.
        if partition_differences(policy, before):
            marks = sorted(policy.unlinkable) != sorted(before.unlinkable)
            self._ask(self._runs.begin_policy(change.id, change.time, marks=marks))
        return True

    def withdraw(self, order: str, source: str, time: int, *, undone: bool = False) -> None:
        """Decide again without a source's word, or with it again; the rows say already which.

        Args:
            order: the id of the order that splits the source off.
            source: the source; empty where an identifier with very many links is split off: all fragments are due.
            time: of the order, or of its undo.
            undone: whether it is the undo that makes this necessary.
        """
        self._ask(self._runs.begin_source(_UNDONE + order if undone else order, source, time))

    def go_on(self, message: Repair, offset: int) -> bool:
        """Do a step; False where the message asks for none that is due."""
        row = self._runs.row
        if row is None:
            return False
        order = row.run.removeprefix(_UNDONE)
        word = POLICY
        if self._deciding.links.orders.order(order) is not None:
            word = Verb.SPLIT if order == row.run else UNDO
        cause = Cause(OPERATOR_SOURCE, order, format_time(row.started), Grade.RECORD.label, word)

        def place_again(again: Again) -> int:
            touched = Touched(again=tuple(again.fragments), ordered=tuple(again.ordered))
            return len(self._deciding.decide(touched, cause, offset))

        own, following = self._runs.step(message, mark=self._mark, place_again=place_again)
        self._ask(following)
        return own

    def drained(self) -> dict[bytes, bytes | None]:
        """The rows of policy and repair, where they changed since the last drain."""
        return self._in_force.drained() | self._runs.drained()

    def _ask(self, following: Repair | None) -> None:
        row = self._runs.row
        self._deciding.repairing = row is not None
        # The run of a source places only what the source concerns again, so that nothing else may wait for it.
        self._deciding.stale = None if row is None or row.source else self._runs.is_stale
        if following is not None:
            self._deciding.telling.outputs.append(Output(Topic.EVIDENCE, None, encode(following)))

    def _mark(self, fragment: str) -> None:
        links = self._deciding.links
        row = links.known(fragment)
        if links.is_unlinkable(row.sealed, fragment):
            links.mark_split(fragment, POLICY_ORDER, SplitRow(0))
        elif row.ordered & SPLIT_OFF:
            links.mark_split(fragment, POLICY_ORDER, None)
