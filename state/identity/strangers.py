"""Two strangers: a pair of identifiers that nobody has named before. Half of all evidence is of no more than that.

Nothing is known of either, so that nothing is looked for, moved or merged: once the rules were asked for such a pair
(`shapes`), its rows are written as they will stand. That takes half of what recording, walking and moving take, which
does the same (a test holds them together), and which is for the first pair of its shape and for whatever is unusual.
"""

from schemas.identity_changes import Cause
from schemas.identity_policy import GRADE_LABELS
from schemas.messages import Evidence
from schemas.rows import LinkRow
from schemas.times import format_time, sight_bucket
from state.identity.changes import Transition, changes_of
from state.identity.deciding import Deciding
from state.identity.placement import Placement


class Strangers:
    """Takes in pairs of strangers.

    Args:
        deciding: what decides about others.
        formed_floor: what `formed` of this era is above.
    """

    def __init__(self, deciding: Deciding, formed_floor: int) -> None:
        self._deciding = deciding
        self._links = deciding.links
        self._telling = deciding.telling
        self._formed_floor = formed_floor

    def see(self, evidence: Evidence, offset: int) -> bool:
        """Take in evidence; False, and nothing done, where it is not of two strangers and nothing else.

        1. Recall what the rules make of such a pair.
        2. Write the rows.
        3. Publish the decision, and tell both and the owner.
        """
        # 1. Recall.
        if len(evidence.pairs) != 1 or self._deciding.repairing:
            return False
        place, other_place = evidence.pairs[0]
        pair = evidence.identifiers[place], evidence.identifiers[other_place]
        if not self._links.are_strangers(*pair):
            return False
        seats = self._deciding.shapes.of_strangers(*pair, evidence.grade)
        if seats is None:
            return False
        # 2. Write.
        at, time, bucket = self._formed_floor + offset, evidence.time, sight_bucket(evidence.time)
        epoch = self._telling.epoch_floor + 1
        moves = []
        for one, (state, owner_place, grade, stage, _) in zip(pair, seats, strict=True):
            owner = pair[owner_place].fragment
            row = LinkRow(one.kind, one.sealed, state, owner, grade, epoch, at, time, bucket, (), stage)
            self._links.put_row(one.fragment, row)
            moves.append(Transition(one.fragment, one.kind, None, Placement(state, owner, grade, stage)))
        self._links.meet(*pair, evidence, bucket)
        # 3. Publish and tell.
        if pair[0].fragment > pair[1].fragment:
            moves.reverse()
        joined = seats[0].joined
        cause = Cause(evidence.source, evidence.id, format_time(time), GRADE_LABELS[evidence.grade])
        changes = list(changes_of(moves, cause, offset))
        self._telling.publish(cause, moves, changes, {moves[0].after.owner: joined} if joined else {})
        for move in moves:
            self._telling.announce(move.fragment, self._links.known(move.fragment))
        return True
