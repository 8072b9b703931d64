"""A schema registry in memory, for tests and trials: the part of Confluent's HTTP API that clients use every day.

It checks compatibility as a real one does (`schemas.avro.compatibility`), may be stopped and started again with what
it has, and forgets everything with its process.
"""

import asyncio
import base64
import hmac
import json
import threading
from collections.abc import Awaitable, Callable
from typing import Any, Final, NamedTuple, NoReturn, Self

from aiohttp import web

from schemas.avro.compatibility import Level, differences
from schemas.avro.reading import AvroReader
from schemas.errors import UnusableSchemaError

HOST: Final = "127.0.0.1"
SCHEMAS_MAX: Final = 10_000
_CONTENT_TYPE: Final = "application/vnd.schemaregistry.v1+json"
_START_SECONDS_MAX: Final = 10.0


class _Version(NamedTuple):
    id: int
    version: int
    text: str
    references: list[dict[str, Any]]


class RegistryContent:
    """What a registry knows."""

    def __init__(self, level: Level = Level.BACKWARD) -> None:
        self.level = level
        self.levels: dict[str, Level] = {}
        self.subjects: dict[str, list[_Version]] = {}
        self._ids: dict[str, int] = {}

    def register(self, subject: str, text: str, references: list[dict[str, Any]] | None = None) -> int:
        """The id of a schema, a new version of the subject if it is none yet.

        Raises:
            aiohttp.web.HTTPException: as the API answers.
        """
        known = self.find(subject, text)
        if known is not None:
            return known.id
        problems = self.problems(subject, text, references)
        if problems:
            _refuse(409, 409, f"Schema being registered is incompatible with an earlier schema: {'; '.join(problems)}")
        if len(self._ids) >= SCHEMAS_MAX:
            _refuse(500, 50001, f"this registry holds {SCHEMAS_MAX} schemas at the most")
        schema_id = self._ids.setdefault(_same(text), len(self._ids) + 1)
        versions = self.subjects.setdefault(subject, [])
        versions.append(_Version(schema_id, len(versions) + 1, text, references or []))
        return schema_id

    def find(self, subject: str, text: str) -> _Version | None:
        """The version of a subject that is this schema."""
        same = _same(text)
        return next((each for each in self.subjects.get(subject, ()) if _same(each.text) == same), None)

    def by_id(self, schema_id: int) -> _Version | None:
        """Any version with the id."""
        return next((each for versions in self.subjects.values() for each in versions if each.id == schema_id), None)

    def problems(self, subject: str, text: str, references: list[dict[str, Any]] | None = None) -> list[str]:
        """What is against the schema as the subject's next version.

        Raises:
            aiohttp.web.HTTPException: it is no schema.
        """
        versions = self.subjects.get(subject, [])
        if references or any(version.references for version in versions):
            # What the names in them stand for is not looked up here.
            return []
        try:
            AvroReader(text)
            olds = [json.loads(version.text) for version in versions]
            return differences(json.loads(text), olds, self.levels.get(subject, self.level))
        except UnusableSchemaError as error:
            _refuse(422, 42201, f"Invalid schema: {error}")


class FakeRegistry:
    """A running registry, with a thread and an event loop of its own.

    Args:
        port: Where it listens on loopback.
        content: What it knows; it outlives a stop.
        credentials: User and password that it asks for.
    """

    def __init__(
        self, port: int, content: RegistryContent | None = None, credentials: tuple[str, str] | None = None
    ) -> None:
        self.content = content or RegistryContent()
        self.url = f"http://{HOST}:{port}"
        #: Requests answered, as method and path.
        self.requests: list[str] = []
        self._port = port
        self._credentials = None if credentials is None else ":".join(credentials)
        self._loop: asyncio.AbstractEventLoop | None = None
        self._stopping: asyncio.Event | None = None
        self._thread: threading.Thread | None = None
        self._failures: list[OSError] = []

    def __enter__(self) -> Self:
        """Start."""
        self.start()
        return self

    def __exit__(self, *_error: object) -> None:
        """Stop."""
        self.stop()

    def start(self) -> None:
        """Answer from now on.

        Raises:
            OSError: the port is in use.
        """
        listening = threading.Event()
        self._thread = threading.Thread(target=self._run, args=(listening,), name="fake-registry", daemon=True)
        self._thread.start()
        if not listening.wait(_START_SECONDS_MAX):
            raise TimeoutError("the fake registry did not start")
        if self._failures:
            raise self._failures.pop()

    def stop(self) -> None:
        """Answer no more, and free the port; what it knows stays."""
        if self._thread is not None and self._loop is not None and self._stopping is not None:
            if self._thread.is_alive():
                self._loop.call_soon_threadsafe(self._stopping.set)
            self._thread.join()
            self._thread = None

    def application(self) -> web.Application:
        """The API."""
        application = web.Application(middlewares=[self._guard])
        application.router.add_routes(
            [
                web.get("/subjects", self._subjects),
                web.post("/subjects/{subject}", self._find),
                web.get("/subjects/{subject}/versions", self._versions),
                web.post("/subjects/{subject}/versions", self._register),
                web.get("/subjects/{subject}/versions/{version}", self._version),
                web.get("/schemas/ids/{id}", self._schema),
                web.post("/compatibility/subjects/{subject}/versions/{version}", self._compatible),
                web.get("/config", self._config),
                web.put("/config", self._configure),
                web.get("/config/{subject}", self._config),
                web.put("/config/{subject}", self._configure),
            ]
        )
        return application

    def _run(self, listening: threading.Event) -> None:
        try:
            asyncio.run(self._serve(listening))
        except OSError as error:
            self._failures.append(error)
            listening.set()

    async def _serve(self, listening: threading.Event) -> None:
        self._loop, self._stopping = asyncio.get_running_loop(), asyncio.Event()
        runner = web.AppRunner(self.application(), access_log=None, shutdown_timeout=0.1)
        await runner.setup()
        try:
            await web.TCPSite(runner, HOST, self._port, reuse_address=True).start()
            listening.set()
            await self._stopping.wait()
        finally:
            await runner.cleanup()

    @web.middleware
    async def _guard(
        self, request: web.Request, handler: Callable[[web.Request], Awaitable[web.StreamResponse]]
    ) -> web.StreamResponse:
        self.requests.append(f"{request.method} {request.path}")
        if self._credentials is not None:
            expected = f"Basic {base64.b64encode(self._credentials.encode()).decode()}"
            if not hmac.compare_digest(request.headers.get("Authorization", ""), expected):
                _refuse(401, 40101, "User cannot access the resource.")
        return await handler(request)

    async def _subjects(self, _request: web.Request) -> web.Response:
        return _answer(list(self.content.subjects))

    async def _find(self, request: web.Request) -> web.Response:
        subject = request.match_info["subject"]
        if subject not in self.content.subjects:
            _refuse(404, 40401, f"Subject '{subject}' not found.")
        found = self.content.find(subject, (await _schema_of(request))[0])
        if found is None:
            _refuse(404, 40403, "Schema not found")
        return _answer(_shown(subject, found))

    async def _versions(self, request: web.Request) -> web.Response:
        return _answer([each.version for each in self._of(request.match_info["subject"])])

    async def _register(self, request: web.Request) -> web.Response:
        return _answer({"id": self.content.register(request.match_info["subject"], *await _schema_of(request))})

    async def _version(self, request: web.Request) -> web.Response:
        subject = request.match_info["subject"]
        return _answer(_shown(subject, self._asked_for(subject, request.match_info["version"])))

    async def _schema(self, request: web.Request) -> web.Response:
        text = request.match_info["id"]
        found = self.content.by_id(int(text)) if text.isascii() and text.isdecimal() else None
        if found is None:
            _refuse(404, 40403, f"Schema {text} not found")
        return _answer({"schema": found.text} | ({"references": found.references} if found.references else {}))

    async def _compatible(self, request: web.Request) -> web.Response:
        subject = request.match_info["subject"]
        self._asked_for(subject, request.match_info["version"])
        problems = self.content.problems(subject, *await _schema_of(request))
        return _answer({"is_compatible": not problems, "messages": problems})

    async def _config(self, request: web.Request) -> web.Response:
        subject = request.match_info.get("subject")
        if subject is not None and subject not in self.content.levels:
            _refuse(404, 40408, f"Subject '{subject}' does not have subject-level compatibility configured")
        return _answer({"compatibilityLevel": self.content.levels.get(subject or "", self.content.level)})

    async def _configure(self, request: web.Request) -> web.Response:
        body = await _json_of(request)
        if body.get("compatibility") not in set(Level):
            _refuse(422, 42203, "Invalid compatibility level")
        level = Level(body["compatibility"])
        if subject := request.match_info.get("subject"):
            self.content.levels[subject] = level
        else:
            self.content.level = level
        return _answer({"compatibility": level})

    def _of(self, subject: str) -> list[_Version]:
        versions = self.content.subjects.get(subject)
        if versions is None:
            _refuse(404, 40401, f"Subject '{subject}' not found.")
        return versions

    def _asked_for(self, subject: str, version: str) -> _Version:
        versions = self._of(subject)
        number = str(len(versions)) if version in {"latest", "-1"} else version
        found = next((each for each in versions if str(each.version) == number), None)
        if found is None:
            _refuse(404, 40402, f"Version {version} not found.")
        return found


async def _json_of(request: web.Request) -> dict[str, Any]:
    try:
        body = json.loads(await request.read())
    except ValueError:
        body = None
    if not isinstance(body, dict):
        _refuse(422, 42201, "the body is no JSON object")
    return body


async def _schema_of(request: web.Request) -> tuple[str, list[dict[str, Any]]]:
    body = await _json_of(request)
    text = body.get("schema")
    try:
        json.loads(text if isinstance(text, str) else "")
    except ValueError:
        _refuse(422, 42201, "Either the input schema or one its references is invalid")
    return str(text), body.get("references") or []


def _same(text: str) -> str:
    return json.dumps(json.loads(text), sort_keys=True)


def _shown(subject: str, version: _Version) -> dict[str, Any]:
    shown = {"subject": subject, "version": version.version, "id": version.id, "schema": version.text}
    return shown | ({"references": version.references} if version.references else {})


def _answer(body: Any, status: int = 200) -> web.Response:
    return web.json_response(body, status=status, content_type=_CONTENT_TYPE)


def _refuse(status: int, code: int, message: str) -> NoReturn:
    body = json.dumps({"error_code": code, "message": message})
    raise _REFUSALS[status](text=body, content_type=_CONTENT_TYPE)


_REFUSALS: Final[dict[int, type[web.HTTPException]]] = {
    401: web.HTTPUnauthorized,
    404: web.HTTPNotFound,
    409: web.HTTPConflict,
    422: web.HTTPUnprocessableEntity,
    500: web.HTTPInternalServerError,
}
