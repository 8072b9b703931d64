"""What tests of the Segment API send, and what they find of it."""

import json
from typing import Any

import aiohttp

from connectors.web.access import Access, AccessKey, Role
from schemas.clock import ManualClock
from schemas.credentials import digest_of
from schemas.times import parse_time
from tests.connectors.collect.http_service import NOW, Collect, encoded

SUCCESS = {"success": True}
KEY = "write-key-of-the-shop"
JSON = {"Content-Type": "application/json"}
TRACK: dict[str, Any] = {
    "type": "track",
    "messageId": "m-1",
    "userId": "u-1",
    "event": "Order Completed",
    "timestamp": "2026-11-22T09:59:00.250Z",
    "properties": {"order_id": "o-12", "total": 30},
}


def keyed(**changes: Any) -> Access:
    """One write key, that of the source `shop-web`."""
    key: dict[str, Any] = {
        "name": "shop-web",
        "roles": frozenset({Role.COLLECT}),
        "digest": digest_of(KEY),
        "source": "shop-web",
    }
    return Access([AccessKey(**key | changes)], role=Role.COLLECT, clock=ManualClock(parse_time(NOW)))


async def send(collect: Collect, path: str, body: Any, **headers: str) -> aiohttp.ClientResponse:
    """Post to the API as a server's SDK does."""
    data = body if isinstance(body, bytes) else encoded(body)
    return await collect.client.post(f"/v1/{path}", data=data, headers=JSON | headers)


async def taken(collect: Collect, path: str, body: Any) -> dict[str, Any]:
    """The one event that a body comes to."""
    answer = await send(collect, path, body)
    assert (answer.status, await answer.json()) == (200, SUCCESS)
    (record,) = collect.producer.records
    collect.producer.records.clear()
    assert record.topic.startswith("gt.raw."), record.headers
    event: dict[str, Any] = json.loads(record.value or b"")
    assert record.key == f"{event['source']}\0{event['id']}".encode()
    return event


def letters(collect: Collect) -> list[tuple[str, str, bytes]]:
    """Code, pointer and original of all dead letters."""
    dead = [record for record in collect.producer.records if record.topic == "gt.dead"]
    headers = [dict(record.headers) for record in dead]
    return [
        (own["gt-code"].decode(), own["gt-pointer"].decode(), record.value or b"")
        for own, record in zip(headers, dead, strict=True)
    ]
