"""Questions to explanations, apart from HTTP: each is answered from the copy as it was at one moment."""

import time
from collections.abc import Callable
from typing import Final, TypeVar

import msgspec

from connectors.serve.explaining.customers import explain_customer
from connectors.serve.explaining.pairs import explain_pair
from connectors.serve.explaining.partition import Freeze, PartitionRows, PartitionView
from connectors.serve.explaining.shapes import CustomerExplanation, PairExplanation, TraitExplanation
from connectors.serve.explaining.traits import explain_customer_trait
from connectors.serve.finding import Published
from schemas.document import ContextDocument
from schemas.errors import GoldenthreadError, StateError
from schemas.keys import Keyring
from state.identity.explaining.walking import WalkBounds
from state.join import JoinRules

#: The copy takes a transaction of identity's in batches, so for a moment a row may be there and one that it names not.
ATTEMPTS_MAX: Final = 5
ATTEMPT_SECONDS: Final = 0.05
Answer = TypeVar("Answer")
_DOCUMENT: Final = msgspec.json.Decoder(ContextDocument)


class ChangingTooFast(GoldenthreadError):
    """Ask again: identity's rows did not fit together yet."""


class Explanations:
    """Explains from the lookup's copy; for threads, as it takes some milliseconds.

    Args:
        freeze: The copy as it is now.
        keyring: Reads sealed identifiers.
        rules: What the workers join contexts by, and the policy until identity says which is in force.
        bounds: How far searches go.
    """

    def __init__(self, freeze: Freeze, keyring: Keyring, rules: JoinRules, bounds: WalkBounds | None = None) -> None:
        self._freeze = freeze
        self._keyring = keyring
        self._rules = rules
        self._bounds = bounds

    def pair(self, one: str, other: str, *, words: bool = False) -> PairExplanation:
        """Why two identifiers, by their fragments, are one customer or are not.

        Raises:
            UnknownIdentifier: nothing is known of one of the two.
            ChangingTooFast: ask again.
        """
        return self._ask(lambda view: explain_pair(view, one, other, words=words))

    def customer(self, customer: str, *, words: bool = False) -> CustomerExplanation:
        """What the customer is made of.

        Raises:
            ChangingTooFast: ask again.
        """
        return self._ask(lambda view: explain_customer(view, customer, words=words))

    def trait(self, published: Published, trait: str) -> TraitExplanation | None:
        """Why the trait of the customer has its value; None where nobody says anything of it.

        Raises:
            ChangingTooFast: ask again.
        """
        document = _DOCUMENT.decode(published.encoded)
        return self._ask(lambda view: explain_customer_trait(view, document, trait, self._rules))

    def _ask(self, question: Callable[[PartitionView], Answer]) -> Answer:
        for _ in range(ATTEMPTS_MAX):
            with self._freeze() as rows:
                view = PartitionView(PartitionRows(rows), self._keyring.unseal, self._rules.policy, self._bounds)
                try:
                    return question(view)
                except StateError:
                    time.sleep(ATTEMPT_SECONDS)
        raise ChangingTooFast("identity's rows do not fit together yet: ask again in a moment")
