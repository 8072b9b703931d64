"""Goal: a raw record is routed, or is one dead letter that says why and where from. Method: records by hand, any."""

import json
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agents.intake import Intake
from agents.known_evidence import KnownEvidence
from schemas.cleaning import Cleaner
from schemas.enrichment.enrichment import Enrichment
from schemas.errors import DeadCode
from schemas.identity_policy import DEFAULT_POLICY
from schemas.keys import Keyring
from schemas.limits import EVENT_SIZE_BYTES_MAX, IDENTIFIER_LENGTH_MAX, IDENTIFIERS_MAX, ROUTED_SIZE_BYTES_MAX
from schemas.mapping import load_mappings
from schemas.messages import Evidence, Order, RoutedEvent, decode_identity, decode_routed
from schemas.sources import Source, SourceRegistry, load_sources
from schemas.topics import Catalogue, Topic
from state.engine import MemoryRows, Output
from streams.metrics import Metrics
from streams.producer import RECORD_SIZE_BYTES_MAX

CATALOGUE = Catalogue(channels=("web", "crm"))
NOW_MS = 1_795_341_600_000
NOW = "2026-11-22T10:00:00Z"
MAPPING = """
version: 1
source: legacy-crm
event:
  id: id
  type: "'ticket.created'"
  time: at
  data:
    identifiers: {email: mail}
"""


class _Raw(NamedTuple):
    """A record as aiokafka gives it."""

    value: bytes | None
    headers: tuple[tuple[str, bytes], ...] = ()
    key: bytes | None = b"producer's key"
    topic: str = "gt.raw.web"
    partition: int = 1
    offset: int = 42
    timestamp: int = NOW_MS


def _event(**changes: Any) -> dict[str, Any]:
    event = {
        "specversion": "1.0", "id": "e-1", "source": "shop-web", "type": "page.viewed", "time": NOW, "channel": "web",
        "data": {"identifiers": {"email": "ann@example.com", "cookie": "c-77"}},
    }  # fmt: skip
    return {name: value for name, value in (event | changes).items() if value is not None}


def _raw(**changes: Any) -> _Raw:
    return _Raw(json.dumps(_event(**changes)).encode())


def _intake(
    registry: SourceRegistry | None = None,
    enrichment: Enrichment | None = None,
    metrics: Metrics | None = None,
    **more: Any,
) -> Intake:
    registry = registry or SourceRegistry()
    cleaner = Cleaner(
        policy=DEFAULT_POLICY,
        registry=registry,
        keyring=Keyring(b"a secret that tests share"),
        channels=CATALOGUE.channels,
    )
    return Intake(
        catalogue=CATALOGUE,
        cleaner=cleaner,
        registry=registry,
        mappings=load_mappings(registry),
        known=KnownEvidence(MemoryRows()),
        enrichment=enrichment,
        metrics=metrics,
        **more,
    )


@pytest.fixture
def mapped(tmp_path: Path) -> Intake:
    """An intake with one source whose records are no CloudEvents, the default of the channel crm."""
    (tmp_path / "legacy.yaml").write_text(MAPPING)
    sources = tmp_path / "sources.yaml"
    sources.write_text("sources: {legacy-crm: {channel: crm, mapping: legacy.yaml, default_for: crm}}")
    return _intake(load_sources(sources))


def _routed(outputs: list[Output]) -> RoutedEvent:
    message = decode_routed(outputs[0].value or b"")
    assert isinstance(message, RoutedEvent)
    return message


def _headers(outputs: list[Output]) -> dict[str, bytes]:
    (letter,) = outputs
    assert letter.topic == Topic.DEAD
    return dict(reversed(letter.headers))


def test_an_event_is_routed_under_its_fragment_and_its_pairs_are_said() -> None:
    intake = _intake()
    routed, evidence = intake.handle(_raw())
    assert (routed.topic, evidence.topic) == (Topic.ROUTED, Topic.EVIDENCE)
    message = _routed([routed])
    assert routed.key == message.target.encode()
    assert (message.kind, message.id, message.source, message.channel) == ("email", "e-1", "shop-web", "web")
    said = decode_identity(evidence.value or b"")
    assert isinstance(said, Evidence)
    assert evidence.key is None
    assert [identifier.kind for identifier in said.identifiers] == ["email", "cookie"]
    assert said.pairs == ((0, 1),)
    assert intake.counts == {"routed": 1, "evidence": 1}


def test_an_event_is_enriched_on_its_way_and_what_came_of_it_is_counted_once_it_is_in_the_log() -> None:
    metrics = Metrics("worker", "1")
    metrics.expect_enrichments(["phone"])
    intake = _intake(enrichment=Enrichment(["phone", "time"]), metrics=metrics)
    data = {"identifiers": {"email": "ann@example.com"}, "traits": {"phone": "+31 20 123 4567"}}
    (routed,) = intake.handle(_raw(time="2026-11-22T11:00:00+01:00", data=data))
    message = _routed([routed])
    assert message.traits == {"phone": b'"+31201234567"', "phone_region": b'"NL"'}
    assert json.loads(message.enriched) == {
        "phone": {"trait": "phone", "region": "NL", "type": "fixed", "valid": True},
        "original": {"/data/traits/phone": "+31 20 123 4567"},
        "time": {"original": "2026-11-22T11:00:00+01:00"},
    }
    assert json.loads(message.data) == data

    def counted(outcome: str) -> float | None:
        labels = {"enricher": "phone", "outcome": outcome}
        return metrics.registry.get_sample_value("goldenthread_enrichments_total", labels)

    assert counted("changed") == counted("failed") == 0
    intake.acknowledged()
    intake.acknowledged()
    assert (counted("changed"), counted("failed")) == (1, 0)


def test_evidence_is_said_for_news_only() -> None:
    intake = _intake()
    assert len(intake.handle(_raw())) == 2
    intake.acknowledged()
    assert [output.topic for output in intake.handle(_raw(id="e-2"))] == [Topic.ROUTED]
    assert [output.topic for output in intake.handle(_raw(id="e-3", source="other"))] == [Topic.ROUTED, Topic.EVIDENCE]


CRM = SourceRegistry({"crm": Source(channel="web", grades={"*": "record"})})


def test_an_order_of_a_system_of_record_is_passed_on_each_time_and_its_event_is_routed() -> None:
    intake = _intake(CRM)
    data = {"identifiers": {"crm": "1", "email": "ann@example.com"}, "other": {"crm": ["2", "3"]}}
    for night in range(3):
        outputs = intake.handle(_raw(id=f"m-{night}", source="crm", type="identity.merged", data=data))
        intake.acknowledged()
        messages = [decode_identity(each.value or b"") for each in outputs if each.topic == Topic.EVIDENCE]
        orders = [message for message in messages if isinstance(message, Order)]
        assert _routed(outputs).id == f"m-{night}"
        assert [(order.id, order.verb) for order in orders] == [(f"m-{night}", "require")] * 2
        assert {order.identifiers[0].fragment for order in orders} == {_routed(outputs).target}
        # Beside them the pair that the event shows, once.
        assert len(messages) - len(orders) == (night == 0)
    assert intake.counts == {"routed": 3, "orders": 3, "evidence": 1}


def test_an_order_of_a_source_without_the_grade_is_one_dead_letter_and_nothing_else() -> None:
    intake = _intake(CRM)
    data = {"identifiers": {"crm": "1"}, "other": {"crm": "2"}, "grade": "record", "source": "crm"}
    (output,) = intake.handle(_raw(source="shop-web", type="identity.replaced", data=data))
    assert output.topic == Topic.DEAD
    assert _headers([output])["gt-code"] == b"order_not_allowed"
    assert _headers([output])["gt-pointer"] == b"/type"


def test_the_most_orders_of_one_event_fit_into_records() -> None:
    others = {"cookie": [str(number) + "é" * (IDENTIFIER_LENGTH_MAX - 2) for number in range(IDENTIFIERS_MAX)]}
    data = {"identifiers": {"crm": "1"}, "other": others}
    outputs = _intake(CRM).handle(_raw(source="crm", type="identity.merged", data=data))
    assert [each.topic for each in outputs] == [Topic.ROUTED] + [Topic.EVIDENCE] * IDENTIFIERS_MAX
    assert max(len(each.value or b"") for each in outputs[1:]) < RECORD_SIZE_BYTES_MAX


def test_one_identifier_is_no_evidence() -> None:
    assert len(_intake().handle(_raw(data={"identifiers": {"email": "ann@example.com"}}))) == 1


@pytest.mark.parametrize(
    ("record", "code", "pointer"),
    [
        (_Raw(None), DeadCode.NOT_AN_OBJECT, ""),
        (_Raw(b""), DeadCode.NOT_JSON, ""),
        (_Raw(b"{"), DeadCode.NOT_JSON, ""),
        (_Raw(b"\xff\xfe"), DeadCode.INVALID_UTF8, ""),
        (_Raw(b"[1]"), DeadCode.NOT_AN_OBJECT, ""),
        (_raw(id=None), DeadCode.MISSING_ATTRIBUTE, "/id"),
        (_raw(id="x" * 300), DeadCode.ID_TOO_LONG, "/id"),
        (_raw(specversion="0.3"), DeadCode.WRONG_ATTRIBUTE, "/specversion"),
        (_raw(time="yesterday"), DeadCode.INVALID_TIME, "/time"),
        (_raw(time="2026-11-22T10:06:00Z"), DeadCode.FUTURE_TIME, "/time"),
        (_raw(channel="fax"), DeadCode.UNKNOWN_CHANNEL, "/channel"),
        (_raw(channel="crm"), DeadCode.CHANNEL_MISMATCH, "/channel"),
        (_raw(data={}), DeadCode.NO_USABLE_IDENTIFIER, "/data/identifiers"),
        (_raw(data={"identifiers": {"email": "anonymous"}}), DeadCode.NO_USABLE_IDENTIFIER, "/data/identifiers"),
        (_raw(data={"identifiers": {"cookie": ["c"] * 17}}), DeadCode.TOO_MANY_IDENTIFIERS, "/data/identifiers"),
        (_raw(data={"identifiers": {"cookie": "c"}, "traits": {"t": "x" * 2000}}), DeadCode.TRAIT_TOO_LARGE,
         "/data/traits/t"),
        (_raw(data="text"), DeadCode.NOT_AN_OBJECT, "/data"),
        (_Raw(b"{}", (("ce_id", b"\xff"),)), DeadCode.INVALID_UTF8, "/id"),
        (_Raw(b"x" * 300_000), DeadCode.RECORD_TOO_LARGE, ""),
    ],
)  # fmt: skip
def test_a_bad_record_is_exactly_one_dead_letter(record: _Raw, code: DeadCode, pointer: str) -> None:
    intake = _intake()
    outputs = intake.handle(record._replace(headers=(*record.headers, ("trace", b"t-1"))))
    headers = _headers(outputs)
    assert outputs[0].key == record.key
    assert outputs[0].value == record.value
    assert (headers["gt-code"], headers["gt-pointer"]) == (code.encode(), pointer.encode())
    assert headers["gt-message"]
    assert headers["gt-stage"] == b"intake"
    origin = [headers[f"gt-{name}"] for name in ("topic", "partition", "offset", "timestamp-ms")]
    assert origin == [b"gt.raw.web", b"1", b"42", b"%d" % NOW_MS]
    assert headers["trace"] == b"t-1"
    assert "gt-cut-from-bytes" not in headers
    assert intake.counts == {code.value: 1}


def test_a_record_that_repeats_has_the_same_letter() -> None:
    intake = _intake()
    assert intake.handle(_Raw(b"{")) == intake.handle(_Raw(b"{"))


def test_a_huge_record_is_cut_and_its_size_told() -> None:
    outputs = _intake().handle(_Raw(b"x" * 3_000_000))
    assert _headers(outputs)["gt-cut-from-bytes"] == b"3000000"
    assert 500_000 < len(outputs[0].value or b"") < RECORD_SIZE_BYTES_MAX


def _growing(numbers: int) -> _Raw:
    """An event whose numbers take 19 bytes each once they are written out, where 5 came."""
    data = '{"identifiers":{"email":"ann@example.com"},"a":[1e15' + ",1e15" * numbers + "]}"
    return _Raw(json.dumps(_event(data={})).replace("{}", data).encode())


def test_an_event_that_grows_past_a_record_is_a_dead_letter_with_its_original() -> None:
    traits = {f"trait-{number:02d}": [1e15] * 53 for number in range(64)}
    text = json.dumps(traits).replace("1000000000000000.0", "1e15").replace(" ", "")
    record = _growing((EVENT_SIZE_BYTES_MAX - len(text) - 300) // 5)
    record = record._replace(value=(record.value or b"")[:-2] + b',"traits":' + text.encode() + b"}}")
    assert len(record.value or b"") <= EVENT_SIZE_BYTES_MAX
    intake = _intake()
    (letter,) = intake.handle(record)
    assert (letter.topic, _headers([letter])["gt-code"]) == (Topic.DEAD, b"record_too_large")
    assert b"at most 1000000 are taken" in _headers([letter])["gt-message"]
    assert letter.value == record.value
    assert intake.counts == {"record_too_large": 1}


def test_a_large_event_just_below_the_limit_is_routed() -> None:
    (routed,) = _intake().handle(_growing(50_000))
    assert routed.topic == Topic.ROUTED
    assert 900_000 < len(routed.value or b"") <= ROUTED_SIZE_BYTES_MAX


def test_the_largest_evidence_fits_into_a_record() -> None:
    identifiers = {f"kind{number:02d}".ljust(32, "x"): chr(0x1F9F5) * IDENTIFIER_LENGTH_MAX for number in range(16)}
    record = _raw(id=chr(0x1F9F5) * 128, source=chr(0x1F9F5) * 128, data={"identifiers": identifiers})
    routed, evidence = _intake().handle(record)
    assert evidence.topic == Topic.EVIDENCE
    said = decode_identity(evidence.value or b"")
    assert isinstance(said, Evidence)
    assert len(said.pairs) == 120
    assert len(evidence.value or b"") < RECORD_SIZE_BYTES_MAX // 10
    assert len(routed.value or b"") < ROUTED_SIZE_BYTES_MAX


@pytest.mark.parametrize(("name", "code"), [("id", "id_too_long"), ("source", "wrong_attribute")])
def test_a_name_of_few_characters_but_many_bytes_is_refused(name: str, code: str) -> None:
    assert _routed(_intake().handle(_raw(**{name: chr(0x1F9F5) * 128}))).kind == "email"
    (letter,) = _intake().handle(_raw(**{name: chr(0x1F9F5) * 129}))
    assert _headers([letter])["gt-code"] == code.encode()
    assert _headers([letter])["gt-pointer"] == f"/{name}".encode()


@settings(max_examples=60, deadline=None)
@given(
    value=st.none() | st.binary(max_size=200) | st.integers(0, 2_000_000).map(lambda size: b"{" * size),
    key=st.none() | st.binary(max_size=20) | st.integers(0, 1_000_000).map(lambda size: b"k" * size),
    headers=st.lists(
        st.tuples(
            st.sampled_from(["ce_id", "ce_type", "content-type", "gt-source", "gt-code", "trace", "\U0001f600" * 8000]),
            st.binary(max_size=20) | st.integers(0, 100_000).map(lambda size: b"h" * size),
        ),
        max_size=4,
    ),
)
def test_no_record_crashes_intake_and_every_letter_fits(
    value: bytes | None, key: bytes | None, headers: list[tuple[str, bytes]]
) -> None:
    (letter,) = _intake().handle(_Raw(value, tuple(headers), key))
    assert letter.topic == Topic.DEAD
    size_bytes = len(letter.key or b"") + len(letter.value or b"")
    size_bytes += sum(len(name.encode()) + len(content) for name, content in letter.headers)
    assert size_bytes <= RECORD_SIZE_BYTES_MAX


def test_a_header_without_a_value_becomes_an_empty_one() -> None:
    record: Any = _Raw(b"{", (("trace", None),))  # type: ignore[arg-type]
    assert _headers(_intake().handle(record))["trace"] == b""


# U+FFFD is what a byte that is no UTF-8 is read as.
@pytest.mark.parametrize("name", ["\ufffd\ufffd", "gt-\ufffd"])
def test_a_header_whose_name_was_no_utf_8_is_kept_with_the_letter_and_hinders_no_event(name: str) -> None:
    assert _routed(_intake().handle(_raw()._replace(headers=((name, b"1"),)))).id == "e-1"
    headers = _headers(_intake().handle(_Raw(b"no JSON", ((name, b"1"),))))
    assert headers["gt-code"] == DeadCode.NOT_JSON.encode()
    assert headers[name] == b"1"


def test_an_attribute_whose_name_was_no_utf_8_is_a_dead_letter() -> None:
    headers = _headers(_intake().handle(_raw()._replace(headers=(("ce_\ufffd", b"1"),))))
    assert headers["gt-code"]
    assert headers["ce_\ufffd"] == b"1"


def test_a_source_header_without_a_value_names_no_source() -> None:
    record: Any = _raw()
    assert _routed(_intake().handle(record._replace(headers=(("gt-source", None),)))).source == "shop-web"


def test_a_record_that_fails_in_an_unforeseen_way_is_a_dead_letter(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_args: Any, **_named: Any) -> None:
        raise ZeroDivisionError("ann@example.com")

    intake = _intake()
    monkeypatch.setattr(Cleaner, "clean", fail)
    headers = _headers(intake.handle(_raw()))
    # The text of the error might be somebody's data.
    assert (headers["gt-code"], headers["gt-message"]) == (b"unreadable_message", b"ZeroDivisionError")
    assert intake.counts == {"unreadable_message": 1}


def test_a_state_that_fails_is_no_fault_of_the_record(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_args: Any, **_named: Any) -> None:
        raise OSError("the disk is gone")

    monkeypatch.setattr(KnownEvidence, "news", fail)
    with pytest.raises(OSError, match="the disk is gone"):
        _intake().handle(_raw())


ROW = json.dumps({"id": 7, "at": NOW, "mail": "ann@example.com"}).encode()


def test_the_source_header_finds_the_mapping(mapped: Intake) -> None:
    event = _routed(mapped.handle(_Raw(ROW, (("gt-source", b"legacy-crm"),), topic="gt.raw.crm")))
    assert (event.source, event.id, event.type, event.channel) == ("legacy-crm", "7", "ticket.created", "crm")


def test_the_default_of_the_channel_finds_the_mapping(mapped: Intake) -> None:
    assert _routed(mapped.handle(_Raw(ROW, topic="gt.raw.crm"))).source == "legacy-crm"
    # Of this channel, and of no other.
    assert _headers(mapped.handle(_Raw(ROW)))["gt-code"] == DeadCode.MISSING_ATTRIBUTE.encode()


def test_a_cloud_event_needs_no_mapping_where_there_is_a_default(mapped: Intake) -> None:
    raw = _raw(channel="crm")._replace(topic="gt.raw.crm")
    assert _routed(mapped.handle(raw)).source == "shop-web"
    # Badly made, it is judged as the CloudEvent that it says it is.
    bad = _raw(channel="crm", id=None)._replace(topic="gt.raw.crm")
    assert _headers(mapped.handle(bad))["gt-pointer"] == b"/id"


def test_an_unknown_source_header_leaves_the_record_to_itself(mapped: Intake) -> None:
    assert _routed(mapped.handle(_raw()._replace(headers=(("gt-source", b"nobody"),)))).source == "shop-web"


TOOL_MAPPING = """
version: 1
source: tool
input: {records: events}
when: kind != 'ping'
event:
  id: id || _request.headers."x-delivery"
  type: concat('tool.', kind)
  data:
    identifiers: {email: mail}
"""


@pytest.fixture
def tool(tmp_path: Path) -> Intake:
    """An intake with a source whose records hold several events, without a time."""
    (tmp_path / "tool.yaml").write_text(TOOL_MAPPING)
    registry = SourceRegistry({"tool": Source(channel="web", mapping="tool.yaml", default_for="web")}, tmp_path)
    return _intake(registry)


def test_the_records_in_a_record_become_events_and_dead_letters_of_their_own(tool: Intake) -> None:
    events = [{"id": "1", "kind": "sent", "mail": "ann@example.com"}, {"kind": "ping"}, {"id": "2", "kind": "read"}]
    routed, letter = tool.handle(_Raw(json.dumps({"events": events}).encode(), (("content-type", b"text/json"),)))
    event = _routed([routed])
    assert (event.id, event.type, event.assigned, event.time) == ("1", "tool.sent", True, NOW_MS * 1000)
    headers = _headers([letter])
    assert letter.value == b'{"id":"2","kind":"read"}'
    assert headers["gt-code"] == DeadCode.NO_USABLE_IDENTIFIER.encode()
    assert (headers["gt-picked"], headers["content-type"]) == (b"true", b"application/json")
    assert tool.counts["skipped"] == 1
    assert _headers(tool.handle(_Raw(b'{"other": 1}')))["gt-code"] == DeadCode.MAPPING_FAILED.encode()
    assert _headers(tool.handle(_Raw(b"[0]" * 2)))["gt-code"] == DeadCode.NOT_JSON.encode()


def test_a_dead_letter_of_a_webhook_is_read_again_with_what_was_noted_of_its_request(tool: Intake) -> None:
    headers = (
        ("gt-source", b"tool"), ("gt-picked", b"true"), ("content-type", b"application/x-www-form-urlencoded"),
        ("gt-request", b'{"headers": {"x-delivery": "d-1"}}'),
    )  # fmt: skip
    raw = _Raw(b"kind=sent&mail=ann%40example.com", headers)
    assert _routed(tool.handle(raw)).id == "d-1"
    # Of another moment, it is the same event.
    again = _routed(tool.handle(raw._replace(timestamp=NOW_MS + 1)))
    assert again.content == _routed(tool.handle(raw)).content
    unreadable = raw._replace(headers=(*headers[:3], ("gt-request", b"[")))
    assert _headers(tool.handle(unreadable))["gt-pointer"] == b"/id"


def test_a_record_that_the_mapping_can_not_read_is_a_dead_letter(mapped: Intake) -> None:
    headers = _headers(mapped.handle(_Raw(b'{"id": 7}', topic="gt.raw.crm")))
    assert headers["gt-code"] == DeadCode.MAPPING_FAILED.encode()
