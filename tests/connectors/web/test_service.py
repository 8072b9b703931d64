"""What every service has: probes, version, metrics, its own description, request ids, a log without personal data."""

from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from tests.connectors.web.conftest import Service

Start = Callable[..., Awaitable[Service]]


async def test_probes_version_and_metrics(start: Start) -> None:
    service = await start()
    assert await (await service.client.get("/livez")).json() == {"status": "live"}
    assert await (await service.client.get("/readyz")).json() == {"status": "ready"}
    assert await (await service.client.get("/version")).json() == {"service": "sample", "version": "1.2.3"}
    exposition = await service.client.get("/metrics")
    assert exposition.headers["Content-Type"].startswith("text/plain; version=0.0.4")
    assert 'goldenthread_build_info{service="sample",version="1.2.3"} 1.0' in await exposition.text()


async def test_live_while_not_ready(start: Start) -> None:
    service = await start()
    service.reasons.append("no broker answers")
    assert (await service.client.get("/livez")).status == 200


async def test_head_answers_like_get_without_body(start: Start) -> None:
    service = await start()
    response = await service.client.head("/v1/things/x")
    assert (response.status, await response.read()) == (200, b"")


async def test_routes_are_counted_by_template(start: Start) -> None:
    service = await start()
    for name in ("ann@example.com", "bob@example.com"):
        assert (await service.client.get(f"/v1/things/{name}")).status == 200
    assert service.count("GET", "/v1/things/{name}", 200) == 2
    assert b"example.com" not in service.metrics.exposition()


async def test_unusual_methods_share_one_label(start: Start) -> None:
    service = await start()
    assert (await service.client.request("PROPFIND", "/v1/things/x")).status == 405
    assert service.count("other", "unmatched", 405) == 1


async def test_percent_encoded_slash_stays_in_its_segment(start: Start) -> None:
    service = await start()
    response = await service.client.get("/v1/things/a%2Fb")
    assert await response.json() == {"name": "a/b"}


@pytest.mark.parametrize(("given", "kept"), [("abc-1.2_3", True), ("a b", False), ("x" * 65, False), ("é", False)])
async def test_request_id_is_kept_when_harmless(start: Start, given: str, kept: bool) -> None:
    service = await start()
    response = await service.client.get("/livez", headers={"X-Request-Id": given})
    assert (response.headers["X-Request-Id"] == given) is kept
    assert len(response.headers["X-Request-Id"]) <= 64


async def test_answers_name_no_library(start: Start) -> None:
    service = await start()
    for path in ("/livez", "/nothing"):
        response = await service.client.get(path)
        assert response.headers["Server"] == "goldenthread"
        assert response.headers["X-Content-Type-Options"] == "nosniff"


async def test_log_names_the_template_and_no_query(start: Start, lines: list[Any]) -> None:
    service = await start()
    await service.client.get("/v1/things/ann?token=secret", headers={"X-Request-Id": "r-1"})
    await service.client.get("/v1/unknown/ann")
    requests = [line for line in lines if line["event"] == "request"]
    assert [(line["route"], line["status"]) for line in requests] == [("/v1/things/{name}", 200), ("unmatched", 404)]
    assert requests[0]["request_id"] == "r-1"
    assert "ann" not in str(requests)
    assert "secret" not in str(requests)


async def test_probes_do_not_fill_the_log(start: Start, lines: list[Any]) -> None:
    service = await start()
    await service.client.get("/readyz")
    assert [line["log_level"] for line in lines] == ["debug"]


async def test_openapi_describes_operations_parameters_answers_and_problems(start: Start) -> None:
    service = await start()
    document: dict[str, Any] = await (await service.client.get("/openapi.json")).json()
    assert document["openapi"] == "3.1.0"
    assert document["info"]["version"] == "1.2.3"
    thing = document["paths"]["/v1/things/{name}"]["get"]
    assert [(each["name"], each["in"], each["required"]) for each in thing["parameters"]] == [
        ("name", "path", True),
        ("limit", "query", False),
    ]
    assert thing["responses"].keys() == {"200", "308", "400", "401", "403", "418", "421", "429", "500"}
    assert thing["responses"]["200"]["headers"]["ETag"]["description"] == "Its version."
    assert "short_and_stout" in thing["responses"]["418"]["description"]
    echo = document["paths"]["/v1/echo"]["post"]
    assert echo["requestBody"]["content"].keys() == {"application/json"}
    assert echo["responses"].keys() == {"200", "400", "401", "403", "408", "413", "415", "421", "429", "500"}
    assert echo["responses"]["200"]["content"]["application/json"]["schema"] == {"$ref": "#/components/schemas/Echo"}


async def test_openapi_lists_exactly_the_routes_and_its_references_resolve(start: Start) -> None:
    service = await start()
    document: dict[str, Any] = await (await service.client.get("/openapi.json")).json()
    routed = {
        (resource.canonical, route.method)
        for resource in service.application.router.resources()
        for route in resource
        if route.method != "HEAD"
    }
    described = {(path, method.upper()) for path, operations in document["paths"].items() for method in operations}
    assert described == routed
    identifiers = [operation["operationId"] for item in document["paths"].values() for operation in item.values()]
    assert len(identifiers) == len(set(identifiers))
    for reference in _references(document):
        assert reference.removeprefix("#/components/schemas/") in document["components"]["schemas"]


def _references(value: Any) -> list[str]:
    if isinstance(value, dict):
        own = [value["$ref"]] if "$ref" in value else []
        return own + [found for each in value.values() for found in _references(each)]
    return [found for each in value for found in _references(each)] if isinstance(value, list) else []
