"""Why an identifier is nobody's: the links that show it, by the rule that cut it."""

from state.identity.evidence import Link
from state.identity.explaining.results import SharedBy, Sharing
from state.identity.explaining.rules import Rules
from state.identity.placement import Placement

# Links that are shown of those that are too many.
_EXAMPLES_MAX = 5


class SharingReader:
    """Reads back why identifiers are shared."""

    def __init__(self, rules: Rules) -> None:
        self._rules = rules

    def why(self, fragment: str, place: Placement) -> Sharing:
        """Why the identifier, which is placed as shared, is."""
        found = self._by_proven_links(fragment) if place.joined else self._by_customers(fragment)
        return found or Sharing(fragment, SharedBy.UNSETTLED)

    def _by_proven_links(self, fragment: str) -> Sharing | None:
        """Stage 1: two values of a unique kind say more than many neighbours, so they are said where both hold."""
        kind = self._rules.kinds.kind(self._rules.graph.kind(fragment))
        values: dict[tuple[str, str], tuple[str, Link]] = {}
        crowd = _Crowd(fragment, SharedBy.LIMIT, kind.shared_from)
        for link in self._rules.walk.first(self._rules.joining.links(fragment)):
            exclusion, value = self._rules.joining.unique_value(link.neighbour, link.kind)
            if exclusion is not None:
                held, first = values.setdefault(exclusion, (value, link))
                if held != value:
                    return Sharing(fragment, SharedBy.UNIQUE, link.kind, links=(first, link))
            crowd.add(link)
        return crowd.found if crowd.met else self._by_claims_alone(fragment, kind.claimed_from)

    def _by_claims_alone(self, fragment: str, limit: int) -> Sharing | None:
        crowd = _Crowd(fragment, SharedBy.CLAIMED, limit)
        for link in self._rules.walk.first(self._rules.graph.links(fragment)):
            if self._rules.kinds.telling(link.kind):
                crowd.add(link)
            if crowd.found:
                break
        return crowd.found

    def _by_customers(self, fragment: str) -> Sharing | None:
        """Stage 2: its best known links lead to several customers, or claims lead to too many."""
        pointing = self._rules.attaching.point(fragment, self._rules.places)
        if not pointing.shared:
            return None
        # Candidates are one neighbour of each of the first customers, those that the best links lead to before others.
        wanted = set(pointing.candidates)
        found: list[Link] = []
        for link in self._rules.walk.first(self._rules.graph.links(fragment)):
            if link.neighbour in wanted:
                found.append(link)
            if len(found) == len(wanted):
                break
        if len(pointing.customers) > 1:
            pointed = tuple(link for link in found if self._owner(link) in pointing.customers)
            return Sharing(fragment, SharedBy.CUSTOMERS, links=pointed)
        limit = self._rules.kinds.kind(self._rules.graph.kind(fragment)).shared_from
        return Sharing(fragment, SharedBy.CLAIMS, limit=limit, links=tuple(found))

    def _owner(self, link: Link) -> str | None:
        place = self._rules.places(link.neighbour)
        return None if place is None else place.owner


class _Crowd:
    """Counts neighbours by their kinds, until there are too many of one."""

    def __init__(self, fragment: str, by: SharedBy, limit: int) -> None:
        self.met: dict[str, list[Link]] = {}
        self.found: Sharing | None = None
        self._fragment, self._by, self._limit = fragment, by, limit

    def add(self, link: Link) -> None:
        alike = self.met.setdefault(link.kind, [])
        alike.append(link)
        if self.found is None and 0 < self._limit < len(alike):
            self.found = Sharing(self._fragment, self._by, link.kind, self._limit, tuple(alike[:_EXAMPLES_MAX]))
