"""The stateful stages: what each reads, and the topic that holds its state; for whoever looks at all of them."""

from typing import Final, NamedTuple

from agents import context, identity
from schemas.topics import Catalogue, Topic
from state.held_rows import HELD_SIZE_BYTES_MAX
from streams.gaps import StageTopics


class StatefulInput(NamedTuple):
    """What a stateful stage reads, and the topic that holds its state, by their names in the catalogue.

    And what rows of the last seconds may take of one partition, before its store gets them.
    """

    input_topic: Topic
    changelog: Topic
    held_size_bytes_max: int = HELD_SIZE_BYTES_MAX


#: By the stages' names, in the order in which events pass them.
STATEFUL: Final = {
    identity.STAGE: StatefulInput(identity.INPUT, identity.CHANGELOG),
    context.STAGE: StatefulInput(context.INPUT, context.CHANGELOG, context.HELD_SIZE_BYTES_MAX),
}


def stateful_stages(catalogue: Catalogue) -> tuple[StageTopics, StageTopics]:
    """Identity's and the context's, by their full topic names."""
    of_identity, of_context = (
        StageTopics(name, catalogue.name(stage.input_topic), catalogue.name(stage.changelog))
        for name, stage in STATEFUL.items()
    )
    return of_identity, of_context
