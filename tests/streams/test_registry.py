"""Goal: a registry is asked within bounds, and every answer becomes what its caller can act on.

Method: the registry in memory, really listening; sockets that say nothing, too much, or something else.
"""

import http.server
import json
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest

from schemas.avro.public_schemas import public_schemas, subject_of
from schemas.avro.reading import AvroReader
from schemas.errors import DeadCode, EventError, RegistryAway, RegistryRefused, SettingError
from schemas.topics import PUBLIC_TOPICS, Catalogue, Topic
from streams.fake_registry import FakeRegistry, RegistryContent
from streams.registry import READERS_MAX, WriterSchemas, register_public, wait_for_ids
from streams.registry_client import REFERENCES_MAX, RegistryClient, RegistryOptions
from tests.conftest import FreePorts

CATALOGUE = Catalogue(prefix="acme.")
INT, TEXT = '{"type":"int"}', '{"type":"string"}'
SUBJECT = "acme.any-value"


@pytest.fixture
def registry(free_ports: FreePorts) -> Iterator[FakeRegistry]:
    with FakeRegistry(free_ports(1)[0]) as running:
        yield running


def client_of(url: str, **options: Any) -> RegistryClient:
    return RegistryClient(RegistryOptions(url, **({"tries_max": 1, "timeout_s": 2.0} | options)))


@contextmanager
def answering(status: int, body: bytes, **headers: str) -> Iterator[str]:
    """A server that always gives the same answer."""

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(status)
            for name, value in {"Content-Length": str(len(body)), **headers}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(body)

        do_POST = do_GET  # noqa: N815 - as above.

        def log_message(self, *_arguments: Any) -> None:
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def test_a_schema_is_registered_once_and_found_by_subject_and_by_id(registry: FakeRegistry) -> None:
    client = client_of(registry.url)
    assert client.lookup(SUBJECT, INT) is None
    assert client.latest(SUBJECT) is None
    schema_id = client.register(SUBJECT, INT)
    assert client.register(SUBJECT, INT) == client.lookup(SUBJECT, INT) == schema_id
    # The same schema has the same id everywhere.
    assert client.register("acme.other-value", INT) == schema_id
    found = client.schema(schema_id)
    assert found is not None
    assert (found.text, found.format, found.references) == (INT, "AVRO", ())
    latest = client.latest(SUBJECT)
    assert latest is not None
    assert (latest.id, latest.version) == (schema_id, 1)
    assert client.schema(schema_id + 1) is None


def test_an_incompatible_schema_is_refused_with_what_to_do(registry: FakeRegistry) -> None:
    client = client_of(registry.url)
    client.register(SUBJECT, INT)
    assert client.incompatibilities(SUBJECT, '{"type":"long"}') == []
    assert "int can't be read as string" in client.incompatibilities(SUBJECT, TEXT)[0]
    with pytest.raises(RegistryRefused, match=r"acme\.any-value.*GOLDENTHREAD_TOPIC_PREFIX"):
        client.register(SUBJECT, TEXT)
    with pytest.raises(RegistryRefused, match=r"[Ii]nvalid"):
        client.register(SUBJECT, '{"type":"nothing"}')


def test_all_schemas_that_a_schema_names_come_with_it_each_after_what_it_names_itself(registry: FakeRegistry) -> None:
    content = registry.content
    money = '{"type":"record","name":"shop.Money","fields":[{"name":"cents","type":"long"}]}'
    line = '{"type":"record","name":"shop.Line","fields":[{"name":"price","type":"shop.Money"}]}'
    fields = [{"name": "a", "type": "shop.Line"}, {"name": "b", "type": "shop.Money"}]
    order = json.dumps({"type": "record", "name": "shop.Order", "fields": fields})
    content.register("money", money)
    content.register("line", line, [{"name": "shop.Money", "subject": "money", "version": 1}])
    references = [{"name": f"shop.{name}", "subject": name.lower(), "version": 1} for name in ("Money", "Line")]
    found = client_of(registry.url).schema(content.register("order", order, references[::-1]))
    assert found is not None
    assert found.references == (money, line)
    assert AvroReader(found.text, found.references).json(b"\x02\x04") == b'{"a":{"price":{"cents":1}},"b":{"cents":2}}'


def test_a_login_is_asked_for_and_shown(free_ports: FreePorts) -> None:
    login = {"user": "ann", "password": "s3:cret"}
    with FakeRegistry(free_ports(1)[0], credentials=("ann", "s3:cret")) as registry:
        assert client_of(registry.url, **login).register(SUBJECT, INT) == 1
        for wrong in ({}, {"user": "ann"}, {"user": "ann", "password": "other"}):
            with pytest.raises(RegistryRefused, match="GOLDENTHREAD_SCHEMA_REGISTRY_USER") as raised:
                client_of(registry.url, **wrong).register(SUBJECT, INT)
            assert "other" not in str(raised.value)


@pytest.mark.parametrize(
    ("status", "body", "error"),
    [
        (500, b'{"error_code":50001,"message":"store"}', RegistryAway),
        (503, b"", RegistryAway),
        (429, b"", RegistryAway),
        (404, b"<html>", RegistryRefused),
        (404, b'{"error_code":404,"message":"HTTP 404 Not Found"}', RegistryRefused),
        (200, b"<html>", RegistryRefused),
        (200, b"[1]", RegistryRefused),
        (200, b"[" * 100_000, RegistryRefused),
        (200, b"{}", RegistryRefused),
        (200, b'{"version":"1"}', RegistryRefused),
        (302, b"", RegistryRefused),
        (200, b" " * 5_000_000, RegistryRefused),
        *((200, b'{"id":%d,"version":1}' % schema_id, RegistryRefused) for schema_id in (-1, 0, 2**31, 10**30)),
    ],
)
def test_an_answer_of_another_kind_is_away_or_refused_and_nothing_else(
    status: int, body: bytes, error: type[Exception]
) -> None:
    with answering(status, body, Location="http://127.0.0.1:1/elsewhere") as url, pytest.raises(error, match=url):
        client_of(url).latest(SUBJECT)


def test_a_registry_that_says_nothing_is_away_after_its_time(free_ports: FreePorts) -> None:
    with socket.create_server(("127.0.0.1", free_ports(1)[0])) as silent:
        began = time.monotonic()
        with pytest.raises(RegistryAway):
            client_of(f"http://127.0.0.1:{silent.getsockname()[1]}", timeout_s=0.2, tries_max=2).schema(1)
        assert time.monotonic() - began < 5.0


@contextmanager
def saying(*pieces: bytes, pause_s: float = 0.0) -> Iterator[str]:
    """A server that says so much to each request, with pauses, and then closes the connection."""
    stopping = threading.Event()

    def answer(listening: socket.socket) -> None:
        while not stopping.is_set():
            try:
                connection, _ = listening.accept()
            except OSError:
                return
            with connection, suppress(OSError):
                connection.recv(65536)
                for piece in pieces:
                    connection.sendall(piece)
                    stopping.wait(pause_s)

    with socket.create_server(("127.0.0.1", 0)) as listening:
        thread = threading.Thread(target=answer, args=(listening,), daemon=True)
        thread.start()
        try:
            yield f"http://127.0.0.1:{listening.getsockname()[1]}"
        finally:
            stopping.set()
            listening.shutdown(socket.SHUT_RDWR)
            thread.join(5.0)


@pytest.mark.parametrize(
    "start", [b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n{", b"HTTP/1.1 200 OK\r\nX-Header: ", b"HTTP/1."]
)
def test_an_answer_that_breaks_off_is_away_and_no_reason_to_stop_for_good(start: bytes) -> None:
    with saying(start) as url, pytest.raises(RegistryAway, match=url):
        client_of(url).latest(SUBJECT)


@pytest.mark.parametrize(
    ("start", "drop"),
    [
        (b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n", b" "),
        (b"HTTP/1.1 200 OK\r\nX-Header: ", b"a"),
        (b"", b"HTTP/1.1 100 Continue\r\n\r\n"),
    ],
)
def test_an_answer_that_drips_in_is_away_after_its_time(start: bytes, drop: bytes) -> None:
    began = time.monotonic()
    with saying(start, *[drop] * 200, pause_s=0.05) as url:
        with pytest.raises(RegistryAway, match=url):
            client_of(url, timeout_s=0.3).latest(SUBJECT)
        assert time.monotonic() - began < 5.0


def test_no_registry_at_all_is_away_after_its_tries(free_ports: FreePorts) -> None:
    url = f"http://127.0.0.1:{free_ports(1)[0]}"
    with pytest.raises(RegistryAway, match=url):
        client_of(url, tries_max=3).schema(1)


def test_a_registry_may_lie_under_a_path() -> None:
    with answering(200, b'{"id":3,"version":1,"schema":"x"}') as url:
        latest = client_of(f"{url}/apis/ccompat/v7").latest(SUBJECT)
        assert latest is not None
        assert latest.id == 3


def test_certificates_that_are_none_are_a_wrong_setting(tmp_path: Path) -> None:
    (tmp_path / "ca.pem").write_text("nothing")
    for ca_file in (tmp_path / "ca.pem", tmp_path / "missing.pem"):
        with pytest.raises(SettingError, match="GOLDENTHREAD_SCHEMA_REGISTRY_CA_FILE"):
            client_of("https://localhost:1", ca_file=ca_file)


def test_our_schemas_are_registered_under_the_full_names_of_their_topics_and_found_again(
    registry: FakeRegistry,
) -> None:
    client = client_of(registry.url)
    ids = register_public(client, CATALOGUE)
    assert set(ids) == set(PUBLIC_TOPICS)
    assert set(registry.content.subjects) == {f"acme.{topic}-value" for topic in PUBLIC_TOPICS}
    registry.requests.clear()
    assert register_public(client, CATALOGUE) == ids
    assert not [each for each in registry.requests if each.endswith("/versions")]


def test_a_former_version_goes_on_beside_a_newer_one(registry: FakeRegistry) -> None:
    client = client_of(registry.url)
    ids = register_public(client, CATALOGUE)
    public = public_schemas()[Topic.CONTEXT]
    newer = json.loads(public.text)
    newer["fields"].append({"name": "more", "type": ["null", "string"], "default": None})
    client.register(subject_of("acme.context"), json.dumps(newer))
    assert register_public(client, CATALOGUE) == ids


def test_who_waits_for_the_registry_gets_its_ids_when_it_comes(registry: FakeRegistry) -> None:
    registry.stop()
    client, found = client_of(registry.url), []
    waiting = threading.Thread(
        target=lambda: found.append(wait_for_ids(client, CATALOGUE, threading.Event(), timeout_s=30))
    )
    waiting.start()
    registry.start()
    waiting.join(20)
    assert found
    assert found[0]


def test_who_waits_for_the_registry_stops_when_told_or_in_time(registry: FakeRegistry) -> None:
    registry.stop()
    client, stopping = client_of(registry.url), threading.Event()
    with pytest.raises(RegistryAway):
        wait_for_ids(client, CATALOGUE, stopping, timeout_s=0)
    stopping.set()
    assert wait_for_ids(client, CATALOGUE, stopping, timeout_s=30) is None


def test_a_schema_is_asked_for_once_and_one_that_is_not_there_again(registry: FakeRegistry) -> None:
    schemas = WriterSchemas(client_of(registry.url))
    unknown = schemas.fetch(1)
    assert isinstance(unknown, EventError)
    assert unknown.code is DeadCode.UNKNOWN_SCHEMA
    assert schemas.missing([1]) == {1}
    registry.content.register(SUBJECT, INT)
    assert isinstance(schemas.fetch(1), AvroReader)
    assert schemas.missing([1]) == set()
    registry.stop()
    assert isinstance(schemas.fetch(1), AvroReader)
    with pytest.raises(RegistryAway):
        schemas.fetch(2)


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (b'{"schemaType":"PROTOBUF","schema":"message"}', "only Avro"),
        (b'{"schema":"{\\"type\\":\\"nothing\\"}"}', "can't be used"),
        (b'{"schema":7}', "can't be used"),
    ],
)
def test_a_schema_that_nothing_can_be_read_by_is_unknown(answer: bytes, words: str) -> None:
    with answering(200, answer) as url:
        refused = WriterSchemas(client_of(url)).fetch(1)
    assert isinstance(refused, EventError)
    assert refused.code is DeadCode.UNKNOWN_SCHEMA
    assert words in refused.message


@pytest.mark.parametrize(
    "references",
    [["x"], [None], [{}], [{"subject": "a"}], [{"subject": 5, "version": 1}], [{"subject": "a", "version": "1"}]],
)
def test_a_schema_that_names_others_in_no_known_way_is_unknown_and_stops_nothing(references: list[Any]) -> None:
    with answering(200, json.dumps({"schema": INT, "references": references}).encode()) as url:
        found = WriterSchemas(client_of(url)).fetch(5)
    assert isinstance(found, EventError)
    assert found.code is DeadCode.UNKNOWN_SCHEMA


def test_a_schema_that_names_one_that_is_not_there_or_too_many_is_unknown_and_stops_nothing(
    registry: FakeRegistry,
) -> None:
    content = registry.content
    alone = content.register("alone", INT, [{"name": "x", "subject": "gone", "version": 1}])
    for number in range(REFERENCES_MAX + 1):
        content.register(f"s{number}", f'{{"type":"fixed","name":"F{number}","size":1}}')
    references = [{"name": f"F{number}", "subject": f"s{number}", "version": 1} for number in range(REFERENCES_MAX + 1)]
    many = content.register("many", TEXT, references)
    schemas = WriterSchemas(client_of(registry.url))
    for schema_id, words in ((alone, "version 1 of 'gone'"), (many, f"more than {REFERENCES_MAX} others")):
        found = schemas.fetch(schema_id)
        assert isinstance(found, EventError)
        assert found.code is DeadCode.UNKNOWN_SCHEMA
        assert words in found.message


def test_no_more_schemas_are_kept_than_the_bound_but_those_in_use(registry: FakeRegistry) -> None:
    schemas = WriterSchemas(client_of(registry.url))
    registry.content.register(SUBJECT, INT)
    reader = schemas.fetch(1)
    for number in range(2, READERS_MAX + 10):
        schemas._readers[number] = reader
    schemas.keep([1])
    assert len(schemas._readers) == READERS_MAX
    assert schemas.missing([1]) == set()


def test_what_a_registry_knows_outlives_its_stop(free_ports: FreePorts) -> None:
    port = free_ports(1)[0]
    registry = FakeRegistry(port, RegistryContent())
    with registry:
        client_of(registry.url).register(SUBJECT, INT)
        with pytest.raises(OSError, match="address"):
            FakeRegistry(port).start()
    with registry:
        assert client_of(registry.url).lookup(SUBJECT, INT) == 1
