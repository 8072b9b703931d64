"""Goal: an acceptance that is cut short anywhere comes to the same end when it is called again.

Method: a real broker with topics of its own, positions written as a checkpoint writes them, a fault at each point.
"""

import dataclasses
from pathlib import Path

import pytest

from schemas.errors import RestartNeeded
from schemas.messages import Own, decode_routed
from schemas.rows import LinkRow, PositionRow, encode_row, link_row_key
from schemas.topics import POSITION_KEY, Catalogue, Topic
from streams.acceptance import AcceptanceOptions, AcceptancePoint, Plan, accept, accepted_gaps
from streams.bulk import read_all
from streams.checkpoint_options import transactional_id
from streams.gap_search import find_gaps, read_changelog
from streams.gaps import Cause, StageTopics
from streams.group import GroupOffset, commit_offsets, read_offsets
from streams.kafka import KafkaOptions
from streams.topics import record_new_partitions, topic_ids
from streams.transaction import TransactionalProducer

pytestmark = pytest.mark.kafka
FRAGMENT = "0" * 32


def options_of(kafka: KafkaOptions, catalogue: Catalogue, folder: Path) -> AcceptanceOptions:
    return AcceptanceOptions(
        kafka,
        catalogue,
        catalogue.prefix,
        StageTopics("identity", catalogue.name(Topic.EVIDENCE), catalogue.name(Topic.LINKS)),
        StageTopics("context", catalogue.name(Topic.ROUTED), catalogue.name(Topic.STATE)),
        folder / "scratch",
    )


def hurt(options: AcceptanceOptions) -> None:
    """Partition 0 of `routed` was applied to offset 500 of a topic that is no more; identity has placed a fragment."""
    kafka, catalogue = options.kafka, options.catalogue
    record_new_partitions(kafka, options.application, catalogue.read_by_workers())
    routed, evidence = options.context.input, options.identity.input
    ids = topic_ids(kafka, [routed, evidence])
    link = LinkRow("email", b"sealed", "home", FRAGMENT, 1, 3, 0, 1, 2)
    positions = {
        (options.context, 0): PositionRow("another", catalogue.partitions, 2, 500),
        (options.context, 1): PositionRow(ids[routed], catalogue.partitions, 0, 0),
        (options.identity, 0): PositionRow(ids[evidence], 1, 0, 0),
    }
    for (stage, number), position in positions.items():
        producer = TransactionalProducer(kafka, transactional_id(options.application, stage.stage, number))
        producer.fence()
        producer.begin()
        rows = [(POSITION_KEY, encode_row(position))]
        if stage is options.identity:
            rows.insert(0, (link_row_key(FRAGMENT), encode_row(link)))
        producer.produce_batch(stage.changelog, [(key, row, number) for key, row in rows])
        producer.commit()
        producer.close()
    commit_offsets(kafka, options.application, {(routed, 0): GroupOffset(500)})


def test_an_acceptance_cut_short_anywhere_is_ended_by_the_next_call(
    kafka: KafkaOptions, catalogue: Catalogue, tmp_path: Path
) -> None:
    options = options_of(kafka, catalogue, tmp_path)
    hurt(options)
    routed = options.context.input
    for point in AcceptancePoint:

        def fault(passed: str, point: str = point) -> None:
            if passed == point:
                raise RestartNeeded(point)

        found = find_gaps(kafka, options.application, catalogue, options.stages)
        assert [(gap.cause, gap.where) for gap in found] == [(Cause.MADE_AGAIN, f"{routed}/0")]
        cut = dataclasses.replace(options, fault=fault)
        with pytest.raises(RestartNeeded):
            accept(cut, Plan(tuple(found), replays=True), "a test")
        assert not options.scratch.exists()
    # The last cut came after the positions: only the group's offset is left.
    (left,) = find_gaps(kafka, options.application, catalogue, options.stages)
    assert (left.cause, left.goes_on, left.is_harmless) == (Cause.UNFINISHED, 0, True)
    accept(options, Plan((left,), replays=False), "a test")
    assert find_gaps(kafka, options.application, catalogue, options.stages) == []
    position = read_changelog(kafka, options.context.changelog, 0).position
    assert position == PositionRow(topic_ids(kafka, [routed])[routed], catalogue.partitions, 3, 0)
    assert read_offsets(kafka, options.application, [(routed, 0)])[routed, 0] == GroupOffset(0, position.topic_id)
    (accepted,) = accepted_gaps(options)
    assert (accepted.era, accepted.reason, accepted.topic) == (3, "a test", routed)
    told = [decode_routed(record.value or b"") for record in read_all(kafka, routed, catalogue.partitions)]
    assert {(type(message), message.target) for message in told} == {(Own, FRAGMENT)}
