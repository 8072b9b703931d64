"""A policy rehearsed: what it would make of all recorded evidence, beside what the one in force has made of it.

It is a trial of the change itself, so the repair that would follow says what it would do. Samples of merges that come
and go are explained over the rows of before and of after.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Final, NamedTuple

from schemas.errors import UsageError
from schemas.identity_policy import Policy
from schemas.messages import PolicyChange, encode
from schemas.policy_parts import decode_policy, partition_differences, routing_differences
from schemas.roles import SHARED
from schemas.rows import LINK_ROW_PREFIX
from state.engine import Rows
from state.identity.clusters import LargeCustomer, largest_customers
from state.identity.evidence import Link
from state.identity.explaining.explainer import Explainer, Surroundings
from state.identity.explaining.results import Explanation, Obstacle, Reason
from state.identity.link_rows import LinkRows, Unseal
from state.identity.moves import Move, MoveCounts, moves
from state.identity.overlay import WritableRows
from state.identity.policy_in_force import PolicyInForce
from state.identity.shown_evidence import best_shown_links, shown_links
from state.identity.trial import Trial

#: The largest customers that are shown of before and after.
LARGEST_SHOWN: Final = 5


class Sample(NamedTuple):
    """A fragment that comes to a customer, or leaves one."""

    #: The fragment, and one of the customer that it comes to or leaves: that customer's home.
    fragment: str
    home: str
    before: Explanation
    after: Explanation


@dataclass(frozen=True)
class Rehearsed:
    """What a policy would do."""

    #: What of the policy in force it changes; empty where it decides nothing otherwise.
    differences: tuple[str, ...]
    #: Identifiers that evidence or orders have named.
    identifiers: int
    counts: MoveCounts
    largest_before: tuple[LargeCustomer, ...]
    largest_after: tuple[LargeCustomer, ...]
    gained: tuple[Sample, ...]
    lost: tuple[Sample, ...]


class Rehearsal:
    """Rehearses one policy over rows that nobody else changes meanwhile.

    Args:
        rows: a copy of `identity.links`.
        above: where changes go; empty.
        unseal: as the engine's.
        given: the policy that holds where the rows name none.
    """

    def __init__(self, rows: Rows, above: WritableRows, unseal: Unseal, given: Policy) -> None:
        self._rows = rows
        self._unseal = unseal
        self._given = given
        #: The policy in force, by the rows.
        self.in_force = PolicyInForce(rows, given).policy
        self._trial = Trial(rows, unseal, given, above=above)
        #: Tells the identifier of a fragment.
        self.identifier = LinkRows(self._trial.rows, unseal).identifier

    def run(self, change: PolicyChange, *, samples: int, on_step: Callable[[int], None] | None = None) -> Rehearsed:
        """Rehearse the change.

        1. Refuse one that would route events otherwise.
        2. Try it, with all of its repair.
        3. Explain some of what moves, and find the largest customers.

        Args:
            change: as it would stand in the log.
            samples: how many merges that come, and that go, are explained.
            on_step: told how many fragments the repair has looked at.

        Raises:
            UsageError: it would route otherwise.
        """
        policy = decode_policy(change.policy)
        # 1. Refuse.
        require_same_routing(policy, self.in_force)
        # 2. Try.
        outcome = self._trial.run([encode(change)], steps_max=None, on_step=on_step)
        # 3. Explain.
        before, after = self._explainer(self._rows, self.in_force), self._explainer(self._trial.rows, policy)
        gained, lost = self._sampled(samples)
        rows = self._trial.rows
        return Rehearsed(
            differences=tuple(partition_differences(policy, self.in_force)),
            identifiers=sum(1 for _ in rows.scan(LINK_ROW_PREFIX)),
            counts=outcome.counts,
            largest_before=tuple(largest_customers(self._rows, limit=LARGEST_SHOWN)),
            largest_after=tuple(largest_customers(rows, limit=LARGEST_SHOWN)),
            gained=tuple(Sample(one, home, before.pair(one, home), after.pair(one, home)) for one, home in gained),
            lost=tuple(Sample(one, home, before.pair(one, home), after.pair(one, home)) for one, home in lost),
        )

    def _sampled(self, most: int) -> tuple[list[tuple[str, str]], list[tuple[str, str]]]:
        """The first of those that come and of those that go: ids are hashes, so this is a random choice."""
        gained: list[tuple[str, str]] = []
        lost: list[tuple[str, str]] = []
        for move in moves(self._trial.rows):
            if len(gained) >= most and len(lost) >= most:
                break
            if _comes(move) and len(gained) < most:
                gained.append((move.fragment, move.after.owner))
            if _goes(move) and len(lost) < most:
                lost.append((move.fragment, move.before.owner))
        return gained, lost

    def _explainer(self, rows: Rows, policy: Policy) -> Explainer:
        links = LinkRows(rows, self._unseal)
        links.govern(policy)
        shown = _Shown(rows, links)
        return Explainer(Surroundings(links, shown.links, policy, links.placement, shown.uncounted))


def require_same_routing(policy: Policy, in_force: Policy) -> None:
    """Refuse a policy under which events would go to other fragments.

    Raises:
        UsageError: saying what differs, and what to do.
    """
    if differences := routing_differences(policy, in_force):
        raise UsageError(
            f"this policy would route events otherwise, which no rehearsal covers: {'; '.join(differences)}. Leave it "
            "as the policy in force has it, or begin a migration (docs/policy.md)"
        )


def _comes(move: Move) -> bool:
    return move.after.owner not in {move.before.owner, move.fragment}


def _goes(move: Move) -> bool:
    return move.before.owner not in {move.after.owner, move.fragment} and move.before.state != SHARED


class _Shown:
    """What events showed, whatever orders and policy say of it."""

    def __init__(self, rows: Rows, counted: LinkRows) -> None:
        self._rows = rows
        self._counted = counted

    def links(self, fragment: str) -> Iterator[Link]:
        """The best of each pair, the best known first."""
        return best_shown_links(self._rows, fragment)

    def uncounted(self, one: str, other: str) -> Obstacle | None:
        """Why what events showed of the pair does not count; None where it does."""
        ends = tuple(end for end in (one, other) if self._counted.is_split(end))
        if ends and not any(link.neighbour == other for link in self._counted.standing(one).requires):
            return Obstacle(Reason.SPLIT, ends=ends)
        orders = self._counted.orders
        if not orders.any_withdrawn:
            return None
        sources = {link.source for link in shown_links(self._rows, one) if link.neighbour == other}
        return Obstacle(Reason.WITHDRAWN) if sources and all(map(orders.withdrawn, sources)) else None
