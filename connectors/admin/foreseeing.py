"""What an order would do: the identity engine's own decisions over a frozen copy, of which nothing is kept."""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from typing import Final, Protocol

from connectors.admin.answers import DryRunAnswer, shown_decision, words_of
from connectors.admin.customers import Places, moves
from schemas.identifiers import Identifier
from schemas.identity_policy import Policy
from schemas.keys import Keyring
from schemas.messages import Order, Undo, encode
from schemas.rows import LINK_ROW_PREFIX, PositionRow, RowDecoder
from schemas.topics import POSITION_KEY
from state.engine import Rows
from state.identity.trial import Trial

#: Decisions that are listed; all are counted.
DECISIONS_SHOWN_MAX: Final = 100
_POSITION_ROW: Final = RowDecoder(PositionRow)


class FreezableRows(Rows, Protocol):
    """Rows of which the present moment can be kept."""

    def frozen(self) -> AbstractContextManager[Rows]:
        """The rows as they are now."""


class Abandoned(Exception):
    """Nobody waits for the answer any more."""


class Foreseeing:
    """Dry runs of orders.

    Args:
        rows: The copy.
        keyring: Unseals identifiers.
        policy: What holds where the rows name none.
    """

    def __init__(self, rows: FreezableRows, keyring: Keyring, policy: Policy) -> None:
        self._rows = rows
        self._keyring = keyring
        self._policy = policy

    def foresee(
        self,
        message: Order | Undo,
        verb: str,
        fragments: Sequence[str],
        named: Mapping[str, Identifier],
        is_wanted: Callable[[], bool],
    ) -> DryRunAnswer:
        """What the message would do; blocks, for minutes where it begins a repair of very much.

        Args:
            message: an order or an undo.
            verb: for words: the order's verb, or `undo`.
            fragments: the order's identifiers.
            named: plain identifiers of the order, which the rows need not know.
            is_wanted: asked after each step of a repair.

        Raises:
            Abandoned: nobody wants it any more.
        """

        def on_step(_looked_at: int) -> None:
            if not is_wanted():
                raise Abandoned

        with self._rows.frozen() as rows:
            encoded = rows.get(POSITION_KEY)
            position = None if encoded is None else _POSITION_ROW.decode(encoded)
            trial = Trial(rows, self._keyring.unseal, self._policy, era=0 if position is None else position.era)
            offset = 0 if position is None else position.next_offset
            outcome = trial.run([encode(message)], offset=offset, on_step=on_step)
            written = dict(trial.rows.written(LINK_ROW_PREFIX))
            before = Places(rows, self._keyring, self._policy, named=named)
            after = Places(rows, self._keyring, self._policy, named=named, laid_over=written)
            touched = [key.removeprefix(LINK_ROW_PREFIX).decode() for key in written]
            moved = moves(before, after, touched)
            words = list(words_of(verb, fragments, moved, before))
            if not outcome.complete:
                words.append("It begins a repair that is larger than a dry run; this is how it begins.")
            words += outcome.refused
            counts = Counter(change.change.value for change in outcome.decisions)
            return DryRunAnswer(
                moved.identifiers_moved > 0,
                tuple(words),
                moved,
                tuple(shown_decision(change, after) for change in outcome.decisions[:DECISIONS_SHOWN_MAX]),
                dict(sorted(counts.items())),
                outcome.decided,
                outcome.complete,
            )
