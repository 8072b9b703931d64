"""An engine that survives a record which it can't bear: the batch is tried again without it, and the record set aside.

An engine never raises for what it foresees. Where it does raise, it may be half changed, and a worker that stopped
would meet the record again for ever. So, for an error that is not one of ours nor of the machine:

1. make the engine anew over the committed rows, and apply again what was applied since;
2. apply the record again: what went wrong by chance goes well now;
3. when it raises again, do step 1 again, and let the record go to `dead`, in the same transaction as the others'
   outputs.

Of records that were given together it is not known which one raised: after step 1 they are applied one by one.
"""

from collections import Counter
from collections.abc import Callable, Sequence
from traceback import format_tb
from typing import Final

from schemas.dead_letters import dead_letter
from schemas.errors import DeadCode, EventError, GoldenthreadError, RestartNeeded
from schemas.topics import Topic
from state.engine import Drained, Engine, Output, StoredRows, apply_each
from streams.logs import logger

log = logger(__name__)

# Records that one checkpoint may set aside. Where more raise, the fault is hardly theirs, and a topic is not emptied
# into `dead` by it.
SET_ASIDE_MAX: Final = 100
# Errors of ours say themselves what has to be done; the others come from the machine and not from a record.
_NOT_THE_RECORDS: Final = (GoldenthreadError, MemoryError, OSError)


class RetryingEngine:
    """Stands in an engine's place. What is applied stays in memory until `settled`: a checkpoint's records at most.

    Args:
        make: Makes the engine over the committed rows.
        stage: The stage's name, for letters.
        topic: The full name of the topic that the records are from.
        partition: Their partition.
    """

    def __init__(self, make: Callable[[], Engine], *, stage: str, topic: str, partition: int) -> None:
        self._make = make
        self._stage = stage
        self._topic = topic
        self._partition = partition
        self._engine = make()
        #: Events by what became of them: the present engine's own.
        self.counts: Counter[str] = self._engine.counts
        # What was applied since the last checkpoint: values, and their offsets.
        self._values: list[bytes] = []
        self._offsets: list[int] = []
        self._letters: list[Output] = []

    def apply(self, value: bytes, offset: int) -> None:
        """Take in one record, or set it aside.

        Raises:
            RestartNeeded: too many were set aside.
        """
        try:
            self._engine.apply(value, offset)
        except _NOT_THE_RECORDS:
            raise
        except Exception as error:  # noqa: BLE001 - whatever it is, the record must not stop the partition for ever.
            self._try_again(value, offset, error)
        else:
            self._note(value, offset)

    def apply_many(self, values: Sequence[bytes], offsets: Sequence[int]) -> None:
        """Take in records together; where that raises, one by one.

        Raises:
            RestartNeeded: too many were set aside.
        """
        try:
            self._engine.apply_many(values, offsets)
        except _NOT_THE_RECORDS:
            raise
        except Exception as error:  # noqa: BLE001 - as in `apply`.
            log.warning("records are applied one by one", error=type(error).__name__, **self._place(offsets[0]))
            self._begin_anew()
            apply_each(self, values, offsets)
        else:
            self._values += values
            self._offsets += offsets

    def drain(self) -> Drained:
        """What changed since the last drain, and the letters of what was set aside.

        An engine may take in what it was given many of no sooner than here: where that raises, it is given them again,
        one by one.

        Raises:
            RestartNeeded: too many were set aside.
        """
        try:
            drained = self._engine.drain()
        except _NOT_THE_RECORDS:
            raise
        except Exception as error:
            if not self._offsets:
                raise
            log.warning("records are applied one by one", error=type(error).__name__, **self._place(self._offsets[0]))
            values, offsets = self._values, self._offsets
            self._values, self._offsets = [], []
            self._begin_anew()
            apply_each(self, values, offsets)
            drained = self._engine.drain()
        return Drained([*drained.outputs, *self._letters], drained.rows) if self._letters else drained

    def settled(self) -> None:
        """The drained rows are committed."""
        self._engine.settled()
        self._values.clear()
        self._offsets.clear()
        self._letters.clear()

    def _try_again(self, value: bytes, offset: int, first: Exception) -> None:
        # Step 1.
        self._begin_anew()
        # Step 2.
        try:
            self._engine.apply(value, offset)
        except _NOT_THE_RECORDS:
            raise
        except Exception as error:  # noqa: BLE001 - as in `apply`.
            # Step 3.
            self._begin_anew()
            self._set_aside(value, offset, error)
        else:
            self._note(value, offset)
            log.warning("a record was applied at the second try", error=type(first).__name__, **self._place(offset))

    def _begin_anew(self) -> None:
        """Whatever raises here went well before: that is no record's doing, and ends the worker."""
        self._engine = self._make()
        self.counts = self._engine.counts
        self._engine.apply_many(self._values, self._offsets)
        if self._letters:
            self.counts[DeadCode.UNREADABLE_MESSAGE.value] += len(self._letters)

    def _note(self, value: bytes, offset: int) -> None:
        self._values.append(value)
        self._offsets.append(offset)

    def _set_aside(self, value: bytes, offset: int, error: Exception) -> None:
        # The text of such an error may hold what a person said: neither log nor letter repeats it.
        name = type(error).__name__
        if len(self._letters) >= SET_ASIDE_MAX:
            raise RestartNeeded(
                f"{self._stage}: more than {SET_ASIDE_MAX} records of {self._topic}/{self._partition} raise, the last "
                f"at {offset} with {name}: this version, and not the records, is wrong"
            ) from error
        log.error(
            "a record is set aside: applying it failed twice in a way that is not provided for",
            error=name,
            traceback="".join(format_tb(error.__traceback__)),
            **self._place(offset),
        )
        letter = dead_letter(
            EventError(DeadCode.UNREADABLE_MESSAGE, name),
            stage=self._stage,
            key=None,
            value=value,
            topic=self._topic,
            partition=self._partition,
            offset=offset,
        )
        self._letters.append(Output(Topic.DEAD, *letter))
        self.counts[DeadCode.UNREADABLE_MESSAGE.value] += 1

    def _place(self, offset: int) -> dict[str, str | int]:
        return {"stage": self._stage, "topic": self._topic, "partition": self._partition, "offset": offset}


def retrying(
    make_engine: Callable[[StoredRows, int, int], Engine], *, stage: str, topic: str
) -> Callable[[StoredRows, int, int], Engine]:
    """The factory of engines that survive a record which they can't bear."""

    def make(rows: StoredRows, partition: int, era: int) -> Engine:
        return RetryingEngine(lambda: make_engine(rows, partition, era), stage=stage, topic=topic, partition=partition)

    return make
