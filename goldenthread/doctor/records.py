"""Checks of what is in the topics: offsets, lag, the secret, the broker's clock, dead letters. They only read."""

import time
from collections import Counter
from typing import Final

from confluent_kafka import Consumer, KafkaException, TopicPartition

from agents.stages import stateful_stages
from goldenthread.doctor.broker import REQUEST_TIMEOUT_SECONDS, topics_fit
from goldenthread.doctor.configuration import WHERE_SECRET
from goldenthread.doctor.examination import Examination, Report
from goldenthread.doctor.services import CLOCK_SECONDS_MAX, METRICS_TOKEN, sample
from goldenthread.settings import variable_name
from schemas.errors import BrokerUnreachable, SecretError
from schemas.rows import LinkRow, RowDecoder, link_row_key
from schemas.topics import Topic
from streams.bulk import BulkReader, Record
from streams.dead import read_dead
from streams.gap_search import require_no_gaps
from streams.topics import group_offsets

LAG_SECONDS_WANTED: Final = 10.0
LAG_SECONDS_MAX: Final = 300.0
#: How long ago is lately, for dead letters.
LATELY_SECONDS: Final = 86_400
#: Dead letters whose codes are counted; more than these are not needed to see what is wrong.
LETTERS_READ_MAX: Final = 500
#: Records of identity.links read in search of one sealed identifier, and seconds spent on it.
LINKS_READ_MAX: Final = 20_000
READ_SECONDS_MAX: Final = 3.0
#: Records past the group's offsets that are counted; more than these are "at least" so many.
WAITING_READ_MAX: Final = 20_000
_READ_SECONDS: Final = 0.5
#: Offsets before the end of a partition that are read: the very last ones may be markers of transactions.
_TAIL_OFFSETS: Final = 20
_LINK_PREFIX: Final = link_row_key("")
_LINK_ROW: Final = RowDecoder(LinkRow)
_START_LOOKUP: Final = "start the lookup, or look again in a minute if it only just started"


def check_group(examination: Examination, report: Report) -> None:
    """The workers' group has an offset for all that it reads, and the log still has what comes after."""
    catalogue, group = examination.catalogue, examination.settings.application
    topics = catalogue.read_by_workers()
    if not topics_fit(examination, report, topics):
        return
    require_no_gaps(examination.kafka, group, catalogue, stateful_stages(catalogue))
    report.ok(f"group {group} has its offsets in {len(topics)} topics, and the logs have what comes after")


def check_lag(examination: Examination, report: Report) -> None:
    """What came in is in contexts: by the lookup's measure, or, where it does not tell, by records past the offsets."""
    told = sample(examination.settings, "lookup", "goldenthread_lag_seconds")
    seconds = told.value
    if seconds is None:
        _check_waiting(examination, report, METRICS_TOKEN if told.refused else _START_LOOKUP)
    elif seconds > LAG_SECONDS_MAX:
        report.problem(
            f"the oldest event waits for {seconds:.0f} s", "see whether workers run and progress; add workers"
        )
    elif seconds > LAG_SECONDS_WANTED:
        report.warn(f"the oldest event waits for {seconds:.0f} s", "look again in a minute; if it grows, add workers")
    else:
        report.ok(f"the oldest event waits for {seconds:.1f} s")


def _check_waiting(examination: Examination, report: Report, action: str) -> None:
    """Say whether anything waits at all; how long it does, and whether it only came just now, offsets don't tell."""
    topics = examination.catalogue.read_by_workers()
    if not topics_fit(examination, report, topics):
        return
    partitions = [(topic, number) for topic, count in topics.items() for number in range(count)]
    offsets = group_offsets(
        examination.kafka, examination.settings.application, partitions, timeout_s=REQUEST_TIMEOUT_SECONDS
    )
    positions: dict[tuple[str, int], int] = {}
    marks = BulkReader(examination.kafka, {})
    try:
        for (topic, number), offset in offsets.items():
            low, high = marks.watermarks(topic, number, timeout_s=REQUEST_TIMEOUT_SECONDS)
            if high > max(low, offset or 0):
                positions[topic, number] = max(low, offset or 0)
    finally:
        marks.close()
    waiting, whole = _count(examination, positions)
    if waiting == 0 and whole:
        report.ok("nothing waits")
        return
    if waiting == 0:
        report.skip(f"whether records wait could not be read within {READ_SECONDS_MAX:g} s", action)
        return
    records = f"{'' if whole else 'at least '}{waiting} records lie past the group's offsets"
    report.skip(f"{records}; how long they wait, the lookup alone knows, and it did not tell", action)


def _count(examination: Examination, positions: dict[tuple[str, int], int]) -> tuple[int, bool]:
    """How many records follow on the positions, and whether that is all; markers of transactions are no records."""
    if not positions:
        return 0, True
    count, ended = 0, set[tuple[str, int]]()
    reader = BulkReader(examination.kafka, positions)
    deadline = time.monotonic() + READ_SECONDS_MAX
    try:
        while len(ended) < len(positions) and count < WAITING_READ_MAX and time.monotonic() < deadline:
            chunk = reader.read(_READ_SECONDS)
            count += len(chunk.records)
            ended |= chunk.ends.keys()
    finally:
        reader.close()
    return count, len(ended) == len(positions)


def check_topics_secret(examination: Examination, report: Report) -> None:
    """The topics were written with this secret: one identifier of them can be unsealed."""
    catalogue, keyring = examination.catalogue, examination.keyring
    links = catalogue.name(Topic.LINKS)
    if not topics_fit(examination, report, {links: catalogue.partitions_of(Topic.LINKS)}):
        return
    if keyring is None:
        marks = (_watermarks(examination, links, number) for number in range(catalogue.partitions_of(Topic.LINKS)))
        if any(low < high for low, high in marks):
            report.problem(
                f"{links} holds identifiers that were sealed with a secret, and there is none here", WHERE_SECRET
            )
        else:
            report.skip("there is no secret to try")
        return
    record = _first_link(examination)
    if record is None or record.key is None or record.value is None:
        report.ok(f"{links} holds no identifier yet")
        return
    try:
        keyring.unseal(_LINK_ROW.decode(record.value).sealed, record.key.removeprefix(_LINK_PREFIX).decode())
    except SecretError as error:
        report.problem(
            str(error), f"set {variable_name('secret')} to the one the topics were written with, or use another prefix"
        )
    else:
        report.ok("an identifier of the topics can be unsealed")


def _first_link(examination: Examination) -> Record | None:
    """The first row in which an identifier is sealed, as far as one is found soon."""
    topic = examination.catalogue.name(Topic.LINKS)
    low, high = _watermarks(examination, topic)
    if low >= high:
        return None
    reader = BulkReader(examination.kafka, {(topic, 0): low})
    deadline, read = time.monotonic() + READ_SECONDS_MAX, 0
    try:
        while read < LINKS_READ_MAX and time.monotonic() < deadline:
            chunk = reader.read(_READ_SECONDS)
            for record in chunk.records:
                if record.key is not None and record.value is not None and record.key.startswith(_LINK_PREFIX):
                    return record
            read += len(chunk.records)
            if chunk.ends and not chunk.records:
                return None
    finally:
        reader.close()
    return None


def check_broker_clock(examination: Examination, report: Report) -> None:
    """The broker's clock is not ahead: by the newest record that it stamped itself. Behind can't be told from idle."""
    routed = examination.catalogue.name(Topic.ROUTED)
    if not topics_fit(examination, report, {routed: examination.catalogue.partitions}):
        return
    newest_ms = _newest_stamp_ms(examination)
    if newest_ms is None:
        report.skip("the broker has stamped no record yet")
        return
    ahead_s = newest_ms / 1000 - time.time()
    if ahead_s > CLOCK_SECONDS_MAX:
        report.warn(
            f"the broker's clock is at least {ahead_s:.0f} s ahead of this machine's",
            "synchronise the clocks (NTP): freshness and times of events are compared by them",
        )
    else:
        report.ok(f"not ahead: the newest record was stamped {max(0.0, -ahead_s):.0f} s ago")


def _newest_stamp_ms(examination: Examination) -> int | None:
    """The greatest timestamp at the ends of `routed`, whose records the broker stamps."""
    topic = examination.catalogue.name(Topic.ROUTED)
    positions: dict[tuple[str, int], int] = {}
    for number in range(examination.catalogue.partitions):
        low, high = _watermarks(examination, topic, number)
        if low < high:
            positions[topic, number] = max(low, high - _TAIL_OFFSETS)
    stamps: list[int] = []
    reader = BulkReader(examination.kafka, positions)
    deadline, ended = time.monotonic() + READ_SECONDS_MAX, set[tuple[str, int]]()
    try:
        while len(ended) < len(positions) and time.monotonic() < deadline:
            chunk = reader.read(_READ_SECONDS)
            stamps += [record.timestamp_ms for record in chunk.records]
            ended |= chunk.ends.keys()
    finally:
        reader.close()
    return max(stamps, default=None)


def check_dead(examination: Examination, report: Report) -> None:
    """Whether events were set aside lately, and why."""
    kafka, catalogue = examination.kafka, examination.catalogue
    topic = catalogue.name(Topic.DEAD)
    _, high = _watermarks(examination, topic)
    start = _offset_at(examination, topic, int((time.time() - LATELY_SECONDS) * 1000))
    if start is None or start >= high:
        report.ok("none in the last day")
        return
    first = max(start, high - LETTERS_READ_MAX)
    codes = Counter(letter.code for letter in read_dead(kafka, catalogue, first, silence_s_max=READ_SECONDS_MAX))
    if not codes:
        report.ok("none in the last day")
        return
    shown = ", ".join(f"{code} {count}" for code, count in codes.most_common())
    # Letters are counted as `dead list` does; where not all are read, offsets tell how many records there are at most.
    if first == start:
        found = f"{codes.total()} in the last day"
    else:
        found = f"up to {high - start} records in the last day; among the last {LETTERS_READ_MAX}"
    report.warn(f"{found}: {shown}", "goldenthread dead list shows them with their reasons")


def _watermarks(examination: Examination, topic: str, partition: int = 0) -> tuple[int, int]:
    reader = BulkReader(examination.kafka, {})
    try:
        return reader.watermarks(topic, partition, timeout_s=REQUEST_TIMEOUT_SECONDS)
    finally:
        reader.close()


def _offset_at(examination: Examination, topic: str, time_ms: int) -> int | None:
    """The first offset of the topic's one partition that is not older; None where all is."""
    consumer = Consumer(examination.kafka.reader())
    try:
        (found,) = consumer.offsets_for_times([TopicPartition(topic, 0, time_ms)], timeout=REQUEST_TIMEOUT_SECONDS)
    except KafkaException as error:
        raise BrokerUnreachable(f"offsets of {topic}: {error.args[0].str()}") from error
    finally:
        consumer.close()
    offset: int = found.offset
    return offset if offset >= 0 else None
