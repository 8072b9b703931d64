"""Records that a mapping makes events of, judged: the same for a webhook's door and for its dead letters."""

from connectors.collect.event_gate import AcceptedEvent, EventGate
from schemas.mapping import Arrival, Mapping
from schemas.mapping_records import BodyRecord


def mapped_event(gate: EventGate, mapping: Mapping, record: BodyRecord, arrival: Arrival) -> AcceptedEvent | None:
    """The event of a record; None of one that the mapping leaves out.

    Raises:
        EventError: it is none.
    """
    if record.error is not None:
        raise record.error
    if not mapping.takes(record.fields, arrival):
        return None
    return gate.structured(mapping.encode(record.fields, arrival))
