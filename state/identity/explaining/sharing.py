"""Why an identifier is nobody's: the links that show it, by the rule that cut it."""

from collections import Counter

from state.identity.attaching import Attaching, Places
from state.identity.evidence import Graph, Link
from state.identity.explaining.results import SharedBy, Sharing
from state.identity.explaining.walking import Walk
from state.identity.joining import Joining
from state.identity.kinds import KindOrder
from state.identity.placement import Placement

# Links that are shown of those that are too many.
_EXAMPLES_MAX = 5


class SharingReader:
    """Reads back why identifiers are shared."""

    def __init__(
        self, graph: Graph, kinds: KindOrder, joining: Joining, attaching: Attaching, places: Places, walk: Walk
    ) -> None:
        self._graph = graph
        self._kinds = kinds
        self._joining = joining
        self._attaching = attaching
        self._places = places
        self._walk = walk

    def why(self, fragment: str, place: Placement) -> Sharing:
        """Why the identifier, which is placed as shared, is."""
        found = self._by_proven_links(fragment) if place.joined else self._by_customers(fragment)
        return found or Sharing(fragment, SharedBy.UNSETTLED)

    def _by_proven_links(self, fragment: str) -> Sharing | None:
        """Stage 1: two values of a unique kind say more than many neighbours, so they are said where both hold."""
        limit = self._kinds.kind(self._graph.kind(fragment)).shared_from
        counts: Counter[str] = Counter()
        examples: dict[str, list[Link]] = {}
        values: dict[tuple[str, str], tuple[str, Link]] = {}
        crowd: Sharing | None = None
        for link in self._walk.first(self._joining.links(fragment)):
            exclusion, value = self._joining.unique_value(link.neighbour, link.kind)
            if exclusion is not None:
                held, first = values.setdefault(exclusion, (value, link))
                if held != value:
                    return Sharing(fragment, SharedBy.UNIQUE, link.kind, links=(first, link))
            counts[link.kind] += 1
            examples.setdefault(link.kind, []).append(link)
            if crowd is None and 0 < limit < counts[link.kind]:
                few = tuple(examples[link.kind][:_EXAMPLES_MAX])
                crowd = Sharing(fragment, SharedBy.LIMIT, link.kind, limit, few)
        return crowd

    def _by_customers(self, fragment: str) -> Sharing | None:
        """Stage 2: its best known links lead to several customers, or claims lead to too many."""
        pointing = self._attaching.point(fragment, self._places)
        if not pointing.shared:
            return None
        # Candidates are one neighbour of each of the first customers, those that the best links lead to before others.
        wanted = set(pointing.candidates)
        found = [link for link in self._walk.first(self._graph.links(fragment)) if link.neighbour in wanted]
        if len(pointing.customers) > 1:
            pointed = tuple(link for link in found if self._owner(link) in pointing.customers)
            return Sharing(fragment, SharedBy.CUSTOMERS, links=pointed)
        limit = self._kinds.kind(self._graph.kind(fragment)).shared_from
        return Sharing(fragment, SharedBy.CLAIMS, limit=limit, links=tuple(found))

    def _owner(self, link: Link) -> str | None:
        place = self._places(link.neighbour)
        return None if place is None else place.owner
