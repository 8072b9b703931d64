"""The stateful stages by their full topic names, for whoever looks at all of them."""

from agents import context, identity
from schemas.topics import Catalogue
from streams.gaps import StageTopics


def stateful_stages(catalogue: Catalogue) -> tuple[StageTopics, StageTopics]:
    """Identity's and the context's."""
    return (
        StageTopics(identity.STAGE, catalogue.name(identity.INPUT), catalogue.name(identity.CHANGELOG)),
        StageTopics(context.STAGE, catalogue.name(context.INPUT), catalogue.name(context.CHANGELOG)),
    )
