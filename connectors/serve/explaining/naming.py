"""What is shown of an identifier."""

from collections.abc import Collection
from typing import Final

from connectors.serve.explaining.partition import PartitionView
from connectors.serve.explaining.shapes import Named
from schemas.errors import SecretError
from schemas.identifiers import DEFAULT_NAMESPACE
from schemas.identity_policy import OTHER_KIND
from schemas.roles import SHARED


class Names:
    """Names identifiers for one question.

    Args:
        view: The partition.
        known: Identifiers whose values the reader may see: those asked about, and those of its customer.
    """

    def __init__(self, view: PartitionView, known: Collection[str]) -> None:
        self._view = view
        self._known: Final = known

    def hidden(self, kind: str) -> bool:
        """Whether nobody is to know that there is one of the kind."""
        return self._view.policy.kind(kind).hidden

    def kind(self, kind: str) -> str:
        """The kind, or the word for any."""
        return OTHER_KIND if self.hidden(kind) else kind

    def of(self, fragment: str) -> Named:
        """The identifier of the fragment."""
        place = self._view.explainer.place(fragment)
        customer = None if place.state == SHARED else place.owner
        met = self._view.identifier(fragment)
        kind, sealed = (OTHER_KIND, b"") if met is None else met
        if self.hidden(kind) or not sealed or (fragment not in self._known and place.state != SHARED):
            return Named(self.kind(kind), place.state, customer)
        try:
            identifier = self._view.links.unseal(sealed, fragment)
        except SecretError:
            return Named(kind, place.state, customer)
        namespace = None if identifier.namespace == DEFAULT_NAMESPACE else identifier.namespace
        return Named(kind, place.state, customer, identifier.value, namespace)
