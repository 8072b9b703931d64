"""The identity stage by itself, over a store on disk and without a broker: for whoever measures it.

What it writes to topics is dropped, what it keeps is kept as a worker keeps it, in checkpoints of so many records.
"""

from collections.abc import Iterable
from pathlib import Path
from types import TracebackType
from typing import Final, Self

from agents.identity import identity_engines
from schemas.identity_policy import DEFAULT_POLICY, Policy
from schemas.keys import Keyring
from schemas.topics import Catalogue
from state.engine import Drained
from state.identity.clusters import LargeCustomer, largest_customers
from state.identity.suspects import Suspect, suspects
from state.store import Store
from streams.metrics import WORKER_SERVICE, Metrics

#: A checkpoint of a busy worker.
CHECKPOINT_RECORDS: Final = 2_000


class IdentityAlone:
    """An engine and its store; a context manager."""

    def __init__(self, folder: Path, keyring: Keyring, policy: Policy = DEFAULT_POLICY) -> None:
        self._keyring = keyring
        self._policy = policy
        self.metrics = Metrics(WORKER_SERVICE, "0")
        self._store = Store.open(folder, secret_fingerprint=keyring.fingerprint)
        factory = identity_engines(catalogue=Catalogue(), keyring=keyring, policy=policy, metrics=self.metrics)
        self._engine = factory(self._store, 0, 0)
        self._offset = 0
        #: Records for other stages that were written so far.
        self.outputs = 0

    def __enter__(self) -> Self:
        """Nothing is to be done."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close the store."""
        self._store.close()

    def take(self, values: Iterable[bytes]) -> None:
        """Apply records of `identity.evidence`, and commit them in checkpoints."""
        waiting = 0
        for value in values:
            self._engine.apply(value, self._offset)
            self._offset += 1
            waiting += 1
            if waiting == CHECKPOINT_RECORDS:
                self._commit()
                waiting = 0
        self._commit()

    def foremost_suspects(self, limit: int) -> list[Suspect]:
        """The suspicious identifiers of what is committed, by conflict."""
        return suspects(self._store, self._keyring.unseal, self._policy, limit=limit)

    def largest_customers(self, limit: int) -> list[LargeCustomer]:
        """The largest customers of what is committed."""
        return largest_customers(self._store, limit=limit)

    def _commit(self) -> None:
        drained: Drained = self._engine.drain()
        self._store.write(drained.rows, {})
        self._engine.settled()
        self.outputs += len(drained.outputs)
