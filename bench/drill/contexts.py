"""The newest contexts on the public topic against the oracle: what is missing, counted twice, or differs."""

from collections.abc import Callable, Mapping
from typing import Any, Final

from bench.compare import document_differences
from bench.drill.outputs import EXAMPLES_MAX
from bench.oracle import Expectation
from schemas.identifiers import Identifier

_SHARED: Final = "shared"


class Contexts:
    """Contexts judged.

    Attributes:
        lost: Events that contexts do not count.
        doubled: Events that contexts count too often.
        wrong_fields: Fields that are not what the oracle says, contexts too many or too few included.
        examples: Some of those.
    """

    def __init__(
        self, contexts: Mapping[str, Mapping[str, Any]], expectation: Expectation, id_of: Callable[[Identifier], str]
    ) -> None:
        """Compare.

        Args:
            contexts: the newest of each customer that has one, by customer id.
            expectation: what the oracle says.
            id_of: the id of an identifier's fragment, under the secret of the installation.
        """
        self.lost = self.doubled = self.wrong_fields = 0
        self.examples: list[str] = []
        customer_of = {
            f"{kind}:{value}": place
            for place, customer in enumerate(expectation.customers)
            for kind, value in customer.members
        }
        # A shared one shows no identifier: its id tells which it is.
        shared = {id_of(Identifier(one.kind, one.value)) for one in expectation.shared}
        found: dict[int, Mapping[str, Any]] = {}
        counted = 0
        for customer_id, context in contexts.items():
            counted += context["interactions"]["count"]
            home = _home(context)
            place = customer_of.get(home)
            if context["identity"]["level"] == _SHARED:
                if customer_id not in shared:
                    self._wrong(f"{customer_id} is shared, and should not be")
            elif place is None or place in found:
                self._wrong(f"{home} is {customer_id}, which should have none")
            else:
                found[place] = context
        for place, customer in enumerate(expectation.customers):
            self._judge(customer.homes, found.get(place))
        # Those of shared identifiers the oracle does not show: together with the others they must be all.
        self.doubled = max(self.doubled, counted - expectation.events)
        self.lost = max(self.lost, expectation.events - counted)

    def _judge(self, homes: Mapping[str, Any], context: Mapping[str, Any] | None) -> None:
        if context is None:
            if homes:
                home, expected = next(iter(homes.items()))
                self.lost += expected.document["interactions"]["count"]
                self._wrong(f"{home} has no context")
            return
        home = _home(context)
        if home not in homes:
            self._wrong(f"{home} is the home, expected one of {', '.join(homes) or 'none'}")
            return
        expected = homes[home].document
        surplus = context["interactions"]["count"] - expected["interactions"]["count"]
        self.doubled += max(0, surplus)
        self.lost += max(0, -surplus)
        if context["settling"]:
            self._wrong(f"{home} is settling")
        for difference in document_differences(expected, dict(context)):
            self._wrong(f"{home}: {difference}")

    def _wrong(self, example: str) -> None:
        self.wrong_fields += 1
        if len(self.examples) < EXAMPLES_MAX:
            self.examples.append(f"context of {example}")


def _home(context: Mapping[str, Any]) -> str:
    """The identifier that the customer is named after."""
    homes = [one for one in context["identifiers"] if one.get("role") == "home"]
    return f"{homes[0]['kind']}:{homes[0]['value']}" if len(homes) == 1 else f"{len(homes)} homes"
