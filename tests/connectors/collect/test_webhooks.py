"""Webhooks: what tools post becomes events by a mapping alone; who may post, what is answered, what is set aside."""

import asyncio
import base64
import hashlib
import hmac
import json
import random
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import aiohttp
import pytest

from connectors.collect.broker_readiness import BrokerReadiness
from connectors.collect.delivery import Delivery
from connectors.collect.event_gate import EventGate
from connectors.collect.service import CollectOptions, CollectService
from connectors.collect.webhook_door import WebhookDoor
from connectors.web.access import Access, AccessKey, Role
from connectors.web.server import listening
from schemas.cleaning import Cleaner
from schemas.clock import ManualClock
from schemas.credentials import digest_of
from schemas.identity_policy import DEFAULT_POLICY
from schemas.keys import Keyring
from schemas.mapping import Mapping as RecordMapping
from schemas.mapping import MappingSet
from schemas.signatures import Signature
from schemas.sources import Source, SourceRegistry
from schemas.times import parse_time
from schemas.topics import Catalogue
from streams.metrics import Metrics
from streams.producer import Record
from streams.recording_producer import RecordingProducer
from tests.connectors.web.problem_shape import assert_problem

CATALOGUE = Catalogue()
NOW = "2026-11-22T10:00:00Z"
BEFORE = "2026-11-22T09:59:00Z"
KEY = "key-of-the-chat-tool"
SECRET = "secret of the signed tool"  # noqa: S105 - it keeps nothing.
CHAT = """
version: 1
source: SOURCE
when: event != 'ping'
challenge: "_request.query.\\"hub.challenge\\" || (event == 'verify' && challenge)"
event:
  id: id || _request.headers."x-delivery" || digest(@)
  type: concat('chat.', event)
  time: iso(at) || _received
  data:
    identifiers: {email: from}
    team: _request.query.team
"""
PICKED = CHAT.replace("when:", "input: {records: 'json(payload).events'}\nwhen:")
GOOD = {"id": "1", "event": "closed", "at": BEFORE, "from": "ann@example.com"}


def signature(**changes: Any) -> Signature:
    return Signature(**({"header": "X-Signature", "secret": "env:SECRET"} | changes))


@dataclass
class Hooks:
    """A running collect with registered webhooks, and what it wrote."""

    port: int
    client: aiohttp.ClientSession
    producer: RecordingProducer
    metrics: Metrics

    async def post(
        self, body: Any, source: str = "chat", query: str = "", headers: Mapping[str, str] | None = None
    ) -> aiohttp.ClientResponse:
        """Send; values are encoded as JSON, bytes go as they are."""
        data = body if isinstance(body, bytes) else json.dumps(body).encode()
        return await self.client.post(f"/v1/hooks/{source}{query}", data=data, headers=headers)

    def events(self) -> list[dict[str, Any]]:
        """The events that were written, as JSON."""
        return [json.loads(record.value or b"") for record in self.producer.records if "raw." in record.topic]

    def dead(self) -> list[tuple[Record, dict[str, str]]]:
        """The dead letters with their headers."""
        letters = [record for record in self.producer.records if record.topic == "gt.dead"]
        return [(record, {name: value.decode() for name, value in record.headers}) for record in letters]


@asynccontextmanager
async def running(
    *, keys: bool = False, signed: Signature | None = None, records_max: int = 1000, signed_rate: float | None = None
) -> AsyncIterator[Hooks]:
    registry = SourceRegistry(
        {
            "chat": Source(channel="chat", mapping="chat.yaml"),
            "picked": Source(channel="chat", mapping="picked.yaml"),
            "signed": Source(channel="chat", mapping="signed.yaml", signature=signed, requests_per_second=signed_rate),
            "plain": Source(channel="chat"),
        }
    )
    texts = {"chat": CHAT, "picked": PICKED, "signed": CHAT}
    mappings = MappingSet(
        {name: RecordMapping(text.replace("SOURCE", name).encode(), f"{name}.yaml") for name, text in texts.items()}
    )
    clock = ManualClock(parse_time(NOW))
    cleaner = Cleaner(
        policy=DEFAULT_POLICY, registry=registry, keyring=Keyring(b"a secret of tests"), channels=CATALOGUE.channels
    )
    producer, metrics = RecordingProducer(CATALOGUE), Metrics("collect", "1")
    readiness = BrokerReadiness(
        probe=lambda: None, find_topics=lambda: None, verify=lambda: None, verify_producer=producer.verify_usable
    )
    await readiness.look()
    options = CollectOptions()
    delivery = Delivery(
        producer=producer, catalogue=CATALOGUE, readiness=readiness, metrics=metrics,
        in_flight_bytes_max=options.in_flight_bytes_max,
    )  # fmt: skip
    gate = EventGate(cleaner=cleaner, catalogue=CATALOGUE, clock=clock, batch_events_max=1000)
    door = WebhookDoor(
        gate, delivery, mappings=mappings, signatures=registry.signatures({"SECRET": SECRET}), clock=clock,
        records_max=records_max,
    )  # fmt: skip
    roles = frozenset({Role.COLLECT})
    given = [
        AccessKey(name="chat", roles=roles, digest=digest_of(KEY), source="chat"),
        AccessKey(name="gateway", roles=roles, digest=digest_of("key-of-any-source")),
    ]
    service = CollectService(
        doors=[door], producer=producer, readiness=readiness, metrics=metrics, options=options,
        access=Access(given if keys else (), role=Role.COLLECT, clock=clock),
    )  # fmt: skip
    async with (
        listening(service.application("1"), "127.0.0.1", 0) as (host, port),
        aiohttp.ClientSession(f"http://{host}:{port}") as client,
    ):
        yield Hooks(port, client, producer, metrics)


async def test_an_object_becomes_an_event_on_the_channel_of_its_source() -> None:
    async with running() as hooks:
        answer = await hooks.post(GOOD)
        assert (answer.status, await answer.json()) == (202, {"accepted": 1, "dead": 0, "skipped": 0})
        (record,) = hooks.producer.records
        (event,) = hooks.events()
    assert record.topic == "gt.raw.chat"
    assert record.key == b"chat\0" + b"1"
    assert (event["source"], event["type"], event["channel"], event["time"]) == ("chat", "chat.closed", "chat", BEFORE)
    assert "timeassigned" not in event


async def test_good_records_are_taken_bad_ones_set_aside_and_others_left_out() -> None:
    body = b'[{"id": "1", "event": "closed", "from": "ann@example.com"}, {"event": "ping"},  {"event" :"x"}, 7]'
    async with running() as hooks:
        answer = await hooks.post(body, query="?team=north&key=hidden")
        assert await answer.json() == {"accepted": 1, "dead": 2, "skipped": 1}
        (event,) = hooks.events()
        (first, headers), (second, _) = hooks.dead()
        labels = {"stage": "collect", "outcome": "skipped"}
        assert hooks.metrics.registry.get_sample_value("goldenthread_events_processed_total", labels) == 1
    assert (event["timeassigned"], event["data"]["team"]) == (True, "north")
    assert (first.value, second.value) == (b'{"event" :"x"}', b"7")
    assert headers["gt-code"] == "no_usable_identifier"
    assert headers["gt-stage"] == "collect"
    assert headers["gt-topic"] == "hook:chat"
    assert (headers["gt-source"], headers["content-type"]) == ("chat", "application/json")
    noted = json.loads(headers["gt-request"])
    # Only what the mapping reads; this request has no x-delivery.
    assert noted == {"query": {"team": "north"}}
    assert "hidden" not in str(headers)


async def test_a_repeated_delivery_is_the_same_event() -> None:
    nameless = {"event": "closed", "from": "ann@example.com"}
    async with running() as hooks:
        for team in ("north", "south"):
            await hooks.post(nameless, query=f"?team={team}")
        one, two = hooks.events()
    assert (one["id"], one["rawdigest"]) == (two["id"], two["rawdigest"])


async def test_headers_of_the_request_can_name_the_event() -> None:
    async with running() as hooks:
        await hooks.post({**GOOD, "id": None}, headers={"X-Delivery": "d-7", "Content-Type": "text/plain"})
        (event,) = hooks.events()
    assert event["id"] == "d-7"


async def test_forms_are_read_and_json_in_their_fields() -> None:
    form = {"Content-Type": "application/x-www-form-urlencoded"}
    async with running() as hooks:
        answer = await hooks.post(b"id=f-1&event=closed&from=ann%40example.com", headers=form)
        assert (await answer.json())["accepted"] == 1
        payload = aiohttp.FormData({"payload": json.dumps({"events": [GOOD, {"event": "x"}]})})
        answer = await hooks.client.post("/v1/hooks/picked", data=payload)
        assert await answer.json() == {"accepted": 1, "dead": 1, "skipped": 0}
        ((letter, headers),) = hooks.dead()
        assert [event["id"] for event in hooks.events()] == ["f-1", "1"]
    assert letter.value == b'{"event":"x"}'
    assert (headers["gt-picked"], headers["content-type"]) == ("true", "application/json")


@pytest.mark.parametrize("body", [b"", b"hello", b"{", b"\xff"])
async def test_what_is_no_json_is_refused_and_nothing_is_written(body: bytes) -> None:
    async with running() as hooks:
        answer = await hooks.post(body, headers={"Content-Type": "application/json"})
        await assert_problem(answer, 400, "invalid_utf8" if body == b"\xff" else "not_json", "")
        assert hooks.producer.records == []


async def test_every_record_of_a_large_body_is_taken() -> None:
    async with running() as hooks:
        answer = await hooks.post([{**GOOD, "id": str(number)} for number in range(150)])
        assert await answer.json() == {"accepted": 150, "dead": 0, "skipped": 0}
        assert [event["id"] for event in hooks.events()] == [str(number) for number in range(150)]


async def test_too_many_records_and_multipart_forms_are_refused() -> None:
    async with running(records_max=2) as hooks:
        await assert_problem(await hooks.post([GOOD] * 3), 413, "batch_too_long")
        multipart = {"Content-Type": "multipart/form-data; boundary=x"}
        await assert_problem(await hooks.post(b"--x--", headers=multipart), 415, "unsupported_media_type")
        assert hooks.producer.records == []


@pytest.mark.parametrize("source", ["unknown", "plain", "%2Fetc"])
async def test_a_source_without_a_mapping_is_like_none(source: str) -> None:
    async with running() as hooks:
        await assert_problem(await hooks.post(GOOD, source), 404, "no_such_hook")
    async with running(keys=True) as hooks:
        await assert_problem(await hooks.post(GOOD, source), 401, "unauthenticated")
        known = {"Authorization": "Bearer key-of-any-source"}
        await assert_problem(await hooks.post(GOOD, source, headers=known), 404, "no_such_hook")


async def test_nothing_is_promised_when_the_broker_does_not_acknowledge() -> None:
    async with running() as hooks:
        hooks.producer.failure = "broker away"
        await assert_problem(await hooks.post(GOOD), 503, "not_acknowledged")


async def test_a_key_comes_in_a_header_or_in_the_address() -> None:
    basic = "Basic " + base64.b64encode(f"{KEY}:".encode()).decode()
    async with running(keys=True) as hooks:
        for headers in ({"Authorization": f"Bearer {KEY}"}, {"Authorization": basic}):
            assert (await hooks.post(GOOD, headers=headers)).status == 202
        assert (await hooks.post(GOOD, query=f"?key={KEY}")).status == 202
        assert (await hooks.post(GOOD, query="?key=key-of-any-source")).status == 202
        foreign = {"Authorization": "Bearer of.the.tool"}
        assert (await hooks.post(GOOD, query=f"?key={KEY}", headers=foreign)).status == 202
        for query in ("", "?key=", "?key=wrong", f"?token={KEY}"):
            await assert_problem(await hooks.post(GOOD, query=query), 401, "unauthenticated")
        await assert_problem(await hooks.post(GOOD, "picked", f"?key={KEY}"), 403, "wrong_source", "")


def signed_as(body: bytes, algorithm: str = "sha256", secret: bytes = SECRET.encode()) -> bytes:
    return hmac.digest(secret, body, algorithm)


SENT = json.dumps(GOOD).encode()


@pytest.mark.parametrize(
    ("changes", "header"),
    [
        ({"prefix": "sha256="}, "sha256=" + signed_as(SENT).hex()),
        ({"prefix": "sha256="}, "sha256=" + signed_as(SENT).hex().upper()),
        ({"algorithm": "sha1"}, signed_as(SENT, "sha1").hex()),
        ({"encoding": "base64", "algorithm": "sha512"}, base64.b64encode(signed_as(SENT, "sha512")).decode()),
        ({"prefix": "v1=", "signed": "{t}.{body}"}, f"t=12,v0=1,v1=00,v1={signed_as(b'12.' + SENT).hex()}"),
        ({"prefix": "v0=", "signed": "v0:{X-Time}:{body}"}, "v0=" + signed_as(b"v0:99:" + SENT).hex()),
        (
            {"encoding": "base64", "signed": "{x-time}.{body}"},
            f"v1,{base64.b64encode(signed_as(b'99.' + SENT)).decode()}",
        ),
    ],
)
async def test_signed_requests_are_taken_and_no_others(changes: dict[str, Any], header: str) -> None:
    async with running(keys=True, signed=signature(**changes)) as hooks:
        sent = {"X-Signature": header, "X-Time": "99"}
        assert (await hooks.post(SENT, "signed", headers=sent)).status == 202
        for wrong in ({}, {"X-Signature": ""}, {"X-Signature": header[:-2] + "AA", "X-Time": "99"}):
            await assert_problem(await hooks.post(SENT, "signed", headers=wrong), 401, "unauthenticated")
        await assert_problem(await hooks.post(SENT + b" ", "signed", headers=sent), 401, "unauthenticated")
        # Where requests are signed, a key alone is not enough.
        await assert_problem(await hooks.post(SENT, "signed", "?key=key-of-any-source"), 401, "unauthenticated")
        assert len(hooks.events()) == 1


async def test_a_signature_is_asked_for_where_no_key_is_configured() -> None:
    async with running(signed=signature()) as hooks:
        await assert_problem(await hooks.post(SENT, "signed"), 401, "unauthenticated")
        given = {"X-Signature": hashlib.sha256(SENT).hexdigest()}
        await assert_problem(await hooks.post(SENT, "signed", headers=given), 401, "unauthenticated")


async def told(answer: aiohttp.ClientResponse) -> str:
    """What a request without proof is answered."""
    await assert_problem(answer, 401, "unauthenticated")
    detail: str = (await answer.json(content_type=None))["detail"]
    return detail


async def test_strangers_are_told_the_same_of_every_source_and_senders_which_header_is_wrong() -> None:
    signed, unsigned = {"X-Signature": "00"}, {"Authorization": "Bearer key-of-any-source"}
    async with running(keys=True, signed=signature()) as hooks:
        details = {
            await told(await hooks.post(SENT, source, headers=headers))
            for source in ("chat", "signed", "plain", "absent")
            for headers in ({}, signed, {"Authorization": "Bearer wrong-key"}, {"Authorization": "x"})
        }
        assert len(details) == 1
        assert "signature" in details.pop()
        # The key of another source does not make one known.
        assert "x-signature" not in await told(await hooks.post(SENT, "signed", f"?key={KEY}"))
        missing = await told(await hooks.post(SENT, "signed", headers=unsigned))
        assert missing.startswith("The signature in the header x-signature is missing")
        wrong = await told(await hooks.post(SENT, "signed", headers=unsigned | signed))
        assert wrong.startswith("The signature in the header x-signature is wrong")
    async with running(signed=signature()) as hooks:
        wrong = await told(await hooks.post(SENT, "signed", headers=signed))
        assert wrong.startswith("The signature in the header x-signature is wrong")


@pytest.mark.parametrize("keys", [True, False])
async def test_requests_that_are_signed_count_against_the_rate_of_their_source(keys: bool) -> None:
    async with running(keys=keys, signed=signature(), signed_rate=2) as hooks:
        right, wrong = {"X-Signature": signed_as(SENT).hex()}, {"X-Signature": "00"}
        for _ in range(5):
            # What others send uses nothing up.
            assert (await hooks.post(SENT, "signed", headers=wrong)).status == 401
        assert [(await hooks.post(SENT, "signed", headers=right)).status for _ in range(2)] == [202, 202]
        refused = await hooks.post(SENT, "signed", headers=right)
        await assert_problem(refused, 429, "rate_limited")
        assert refused.headers["Retry-After"] == "1"
        assert len(hooks.events()) == 2


async def test_challenges_are_answered_after_the_key() -> None:
    async with running(keys=True) as hooks:
        asked = f"/v1/hooks/chat?hub.mode=subscribe&hub.challenge=1158&hub.verify_token={KEY}"
        answer = await hooks.client.get(asked)
        assert (answer.status, await answer.text(), answer.content_type) == (200, "1158", "text/plain")
        answer = await hooks.client.get(f"/v1/hooks/chat?key={KEY}")
        assert (answer.status, await answer.text()) == (200, "")
        await assert_problem(await hooks.client.get("/v1/hooks/chat?hub.challenge=1"), 401, "unauthenticated")
        answer = await hooks.post({"event": "verify", "challenge": "c-9"}, query=f"?key={KEY}")
        assert (answer.status, await answer.text()) == (200, "c-9")
        long = {"event": "verify", "challenge": "c" * 1025}
        assert (await hooks.post(long, query=f"?key={KEY}")).status == 202
        # Also where records are picked out of other bodies.
        gateway = {"Authorization": "Bearer key-of-any-source"}
        answer = await hooks.post({"event": "verify", "challenge": "c-10"}, "picked", headers=gateway)
        assert (answer.status, await answer.text()) == (200, "c-10")
        assert hooks.events() == []


async def test_no_body_and_no_header_makes_it_fail() -> None:
    chance = random.Random(20261122)
    good = json.dumps([GOOD, {**GOOD, "id": "2", "deep": {"er": [1, "é", None]}}]).encode()
    types = ["application/json", "application/x-www-form-urlencoded", "application/x-ndjson", "text/plain", ""]
    seen: set[int] = set()
    async with running() as hooks:
        for _ in range(250):
            body = bytearray(good)
            for _ in range(chance.randrange(8)):
                place = chance.randrange(len(body))
                body[place : place + chance.randrange(3)] = chance.randbytes(chance.randrange(3))
            answer = await hooks.post(
                bytes(body), chance.choice(["chat", "picked"]), headers={"Content-Type": chance.choice(types)}
            )
            seen.add(answer.status)
        assert seen == {202, 400}
        # What aiohttp's client would not send: a header that is no text.
        reader, writer = await asyncio.open_connection("127.0.0.1", hooks.port)
        body = bytearray(json.dumps({**GOOD, "id": None, "from": ""}).encode())
        writer.write(
            b"POST /v1/hooks/chat?team=%FF%00 HTTP/1.1\r\nHost: 127.0.0.1\r\nX-Delivery: \xe9\xff\r\n"
            b"Connection: close\r\n" + f"Content-Length: {len(body)}\r\n\r\n".encode() + bytes(body)
        )
        answered = await reader.read()
        writer.close()
        await writer.wait_closed()
        assert answered.startswith(b"HTTP/1.1 202"), answered
        assert json.loads(hooks.dead()[-1][1]["gt-request"]).keys() == {"headers", "query"}
