"""The real engine on a bench: records in, what a checkpoint says out; for whoever tests what is published."""

from typing import Any

import msgspec

from schemas.identity_policy import DEFAULT_POLICY
from schemas.messages import encode
from schemas.topics import Topic
from state.context.engine import ContextEngine
from state.engine import MemoryRows, Output
from state.join import JoinRules
from tests.state.builders import LIBRARY, RING


class Bench:
    """An engine, its committed rows, and its log of one partition."""

    def __init__(self, rules: JoinRules | None = None, **arguments: Any) -> None:
        self.rows = MemoryRows()
        self.rules = rules or JoinRules(DEFAULT_POLICY)
        self.arguments = {"library": LIBRARY} | arguments
        self.offset = 0
        self.restart()

    def restart(self) -> None:
        """A new engine over the committed rows."""
        self.engine = ContextEngine(self.rows, RING.unseal, self.rules, **self.arguments)

    def apply(self, *messages: Any) -> None:
        """Records at the next offsets."""
        for message in messages:
            self.engine.apply(message if isinstance(message, bytes) else encode(message), self.offset)
            self.offset += 1

    def commit(self) -> list[Output]:
        """One checkpoint."""
        drained = self.engine.drain()
        self.rows.write(drained.rows)
        self.engine.settled()
        return list(drained.outputs)

    def publish(self, *messages: Any) -> list[Output]:
        """Apply and commit."""
        self.apply(*messages)
        return self.commit()


def of(topic: Topic, outputs: list[Output]) -> list[Any]:
    """Decoded values of one topic; None for tombstones."""
    return [each.value and msgspec.json.decode(each.value) for each in outputs if each.topic == topic]
