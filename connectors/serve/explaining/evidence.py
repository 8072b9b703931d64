"""Steps of a chain as they are shown: between whom, by which events or orders, and what stands against each."""

from itertools import islice
from typing import Final

from connectors.serve.explaining.naming import Names
from connectors.serve.explaining.orders import Orders
from connectors.serve.explaining.partition import AUTHORITIES, PartitionView
from connectors.serve.explaining.shapes import ShownObstacle, ShownOrder, ShownSharing, ShownStep, Sight
from schemas.identity_policy import Grade
from schemas.limits import CANDIDATES_MAX
from schemas.orders import Authority
from schemas.roles import SHARED
from schemas.times import format_time
from state.identity.explaining.results import Obstacle, Reason, Sharing, Step

#: Sources of one pair that are shown, the best grades first.
SIGHTS_MAX: Final = 10


class Showing:
    """Shows what the explainer found, for one question."""

    def __init__(self, view: PartitionView, names: Names, orders: Orders) -> None:
        self._view = view
        self._names = names
        self._orders = orders

    def step(self, step: Step) -> ShownStep:
        """A link, with all that is known of where it comes from."""
        authority = Authority(step.link.authority)
        return ShownStep(
            self._names.of(step.one),
            self._names.of(step.other),
            Grade(step.link.grade).label,
            AUTHORITIES[authority],
            tuple(self._sights(step)),
            None if authority is Authority.EVIDENCE else self._orders.of_pair(step.one, step.other),
            None if step.obstacle is None else self._obstacle(step, step.obstacle),
        )

    def sharing(self, sharing: Sharing) -> ShownSharing:
        """Why an identifier is nobody's."""
        place = self._view.explainer.place(sharing.fragment)
        return ShownSharing(
            self._names.of(sharing.fragment),
            sharing.by,
            self._names.kind(sharing.kind) if sharing.kind else None,
            sharing.limit or None,
            tuple(self._names.of(link.neighbour) for link in sharing.links),
            tuple(self._owners(place.candidates)),
        )

    def _owners(self, fragments: tuple[str, ...]) -> list[str]:
        places = [self._view.explainer.place(fragment) for fragment in fragments]
        return list(dict.fromkeys(place.owner for place in places if place.state != SHARED))[:CANDIDATES_MAX]

    def _sights(self, step: Step) -> list[Sight]:
        withdrawn = self._view.links.orders.withdrawn
        return [
            Sight(
                source,
                Grade(grade).label,
                format_time(row.first_time),
                row.first_id,
                format_time(max(row.first_time, row.last)),
                withdrawn(source),
            )
            for grade, source, row in islice(self._view.sights(step.one, step.other), SIGHTS_MAX)
        ]

    def _obstacle(self, step: Step, obstacle: Obstacle) -> ShownObstacle:
        return ShownObstacle(
            obstacle.reason,
            self._names.kind(obstacle.kind) if obstacle.kind else None,
            tuple(self._obstacle_orders(step, obstacle)),
            tuple(map(self.sharing, obstacle.sharings)),
        )

    def _obstacle_orders(self, step: Step, obstacle: Obstacle) -> list[ShownOrder]:
        if obstacle.forbidden is not None:
            order = self._orders.of_pair(*obstacle.forbidden)
            return [] if order is None else [order]
        if obstacle.reason is Reason.SPLIT:
            return [order for end in obstacle.ends for order in self._orders.splits_of(end)]
        if obstacle.reason is Reason.WITHDRAWN:
            return list(self._orders.of_sources(source for _, source, _ in self._view.sights(step.one, step.other)))
        return []
