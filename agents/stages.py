"""The stateful stages: what each reads, and the topic that holds its state; for whoever looks at all of them."""

from typing import Final, NamedTuple

from agents import context, identity
from schemas.topics import Catalogue, Topic
from streams.gaps import StageTopics


class StatefulInput(NamedTuple):
    """What a stateful stage reads, and the topic that holds its state, by their names in the catalogue."""

    input_topic: Topic
    changelog: Topic


#: By the stages' names, in the order in which events pass them.
STATEFUL: Final = {
    identity.STAGE: StatefulInput(identity.INPUT, identity.CHANGELOG),
    context.STAGE: StatefulInput(context.INPUT, context.CHANGELOG),
}


def stateful_stages(catalogue: Catalogue) -> tuple[StageTopics, StageTopics]:
    """Identity's and the context's, by their full topic names."""
    of_identity, of_context = (
        StageTopics(name, catalogue.name(stage.input_topic), catalogue.name(stage.changelog))
        for name, stage in STATEFUL.items()
    )
    return of_identity, of_context
