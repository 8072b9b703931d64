"""The client of a schema registry that speaks Confluent's HTTP API, as Confluent's own, Karapace and Apicurio do.

Its calls block, each bounded by a few tries of so much time; who must not block calls it in a thread. It follows no
redirect and asks no proxy, so that credentials go where the settings say and nowhere else.
"""

import base64
import http.client
import socket
import ssl
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, NamedTuple
from urllib.parse import quote, urlsplit

import msgspec

from schemas.avro.framing import SCHEMA_ID_MAX
from schemas.errors import RegistryAway, RegistryRefused, SettingError, UnusableSchemaError
from schemas.strict_json import UNREADABLE

TIMEOUT_SECONDS: Final = 5.0
# Tries of one request, and the pause after the first; it doubles.
TRIES_MAX: Final = 3
_PAUSE_SECONDS: Final = 0.2
# An answer that drips in ends after so many times the timeout, which itself bounds one silence.
_TIMEOUTS_PER_TRY: Final = 2
_ANSWER_SIZE_BYTES_MAX: Final = 4 * 1024 * 1024
# Schemas that one schema names, directly or not.
REFERENCES_MAX: Final = 32
_CONTENT_TYPE: Final = "application/vnd.schemaregistry.v1+json"
#: What the settings are called, for messages.
URL_SETTING: Final = "GOLDENTHREAD_SCHEMA_REGISTRY_URL"
_USER_SETTING: Final = "GOLDENTHREAD_SCHEMA_REGISTRY_USER"
_CA_SETTING: Final = "GOLDENTHREAD_SCHEMA_REGISTRY_CA_FILE"
#: Confluent's codes of what is not there: a subject, a version, a schema.
_NOT_FOUND_CODES: Final = frozenset({40401, 40402, 40403})
_TOO_MANY: Final = 429
_AVRO: Final = "AVRO"


@dataclass(frozen=True)
class RegistryOptions:
    """Where the registry is and how to log in."""

    url: str
    user: str | None = None
    password: str | None = None
    #: Certificates that its own is verified by; the system's where none are given.
    ca_file: Path | None = None
    timeout_s: float = TIMEOUT_SECONDS
    tries_max: int = TRIES_MAX


class RegisteredSchema(NamedTuple):
    """A schema as the registry has it."""

    text: str
    #: AVRO, JSON or PROTOBUF.
    format: str = _AVRO
    #: Texts of the schemas whose names it uses, each after those that it uses itself.
    references: tuple[str, ...] = ()


class SubjectVersion(NamedTuple):
    """The newest version of a subject."""

    id: int
    version: int
    text: str


class RegistryClient:
    """Asks one registry. Safe to use from several threads: each request has a connection of its own."""

    def __init__(self, options: RegistryOptions) -> None:
        self._options = options
        address = urlsplit(options.url)
        self._host = address.netloc
        self._path = address.path.rstrip("/")
        self._tls = _tls(options.ca_file) if address.scheme == "https" else None
        self._headers = {"Accept": f"{_CONTENT_TYPE}, application/json", "Content-Type": _CONTENT_TYPE}
        if options.user is not None:
            credentials = f"{options.user}:{options.password or ''}".encode()
            self._headers["Authorization"] = f"Basic {base64.b64encode(credentials).decode()}"

    @property
    def url(self) -> str:
        """Where it is."""
        return self._options.url

    def schema(self, schema_id: int) -> RegisteredSchema | None:
        """The schema of an id; None where the registry knows none.

        Raises:
            RegistryAway: it did not answer in time.
            RegistryRefused: it does not let this client in.
            UnusableSchemaError: of the schemas that it names one is not there, or there are too many.
        """
        found = self._ask("GET", f"/schemas/ids/{schema_id}")
        return None if found is None else self._whole(found)

    def lookup(self, subject: str, text: str) -> int | None:
        """The id of exactly this schema under a subject; None where it is not registered. Raises as `schema`."""
        found = self._ask("POST", f"/subjects/{quote(subject, safe='')}", {"schema": text, "schemaType": _AVRO})
        return None if found is None else self._id(found)

    def register(self, subject: str, text: str) -> int:
        """The id of a schema under a subject, registered if it was not. Raises as `schema`.

        Raises:
            RegistryRefused: also where the schema is incompatible with the subject's others.
        """
        path = f"/subjects/{quote(subject, safe='')}/versions"
        found = self._ask("POST", path, {"schema": text, "schemaType": _AVRO}, subject)
        if found is None:
            raise RegistryRefused(f"{self.url} has no subjects: correct {URL_SETTING}")
        return self._id(found)

    def latest(self, subject: str) -> SubjectVersion | None:
        """The newest version of a subject; None where it has none. Raises as `schema`."""
        found = self._ask("GET", f"/subjects/{quote(subject, safe='')}/versions/latest")
        if found is None:
            return None
        return SubjectVersion(self._id(found), self._number(found, "version"), str(found.get("schema")))

    def incompatibilities(self, subject: str, text: str) -> list[str]:
        """What the registry has against a schema as a subject's next version; empty where it would take it.

        Raises as `schema`.
        """
        path = f"/compatibility/subjects/{quote(subject, safe='')}/versions/latest?verbose=true"
        found = self._ask("POST", path, {"schema": text, "schemaType": _AVRO})
        if found is None or found.get("is_compatible") is True:
            return []
        return [str(message) for message in found.get("messages") or ["the registry does not say why"]]

    def _whole(self, found: dict[str, Any]) -> RegisteredSchema:
        texts: dict[tuple[str, int], str] = {}
        self._gather(found.get("references"), texts)
        return RegisteredSchema(
            str(found.get("schema", "")), str(found.get("schemaType") or _AVRO), tuple(texts.values())
        )

    def _gather(self, references: Any, texts: dict[tuple[str, int], str]) -> None:
        for reference in references if isinstance(references, list) else ():
            subject, version = _named(reference)
            if (subject, version) in texts:
                continue
            if len(texts) >= REFERENCES_MAX:
                raise UnusableSchemaError(f"it names more than {REFERENCES_MAX} others")
            found = self._ask("GET", f"/subjects/{quote(subject, safe='')}/versions/{version}")
            if found is None:
                raise UnusableSchemaError(f"it names version {version} of {subject[:64]!r}, which the registry lacks")
            texts[subject, version] = ""
            self._gather(found.get("references"), texts)
            # What it names itself has to stand before it.
            del texts[subject, version]
            texts[subject, version] = str(found.get("schema", ""))

    def _ask(self, method: str, path: str, body: dict[str, Any] | None = None, subject: str = "") -> Any:
        """The answer's JSON object; None where what was asked for is not there."""
        pause_s = _PAUSE_SECONDS
        for left in reversed(range(self._options.tries_max)):
            try:
                status, answer = self._once(method, path, body)
            except RegistryAway:
                if left == 0:
                    raise
                time.sleep(pause_s)
                pause_s *= 2
            else:
                return self._judged(status, answer, subject)
        raise RegistryAway(f"the schema registry at {self.url} was not asked")

    def _once(self, method: str, path: str, body: dict[str, Any] | None) -> tuple[int, dict[str, Any]]:
        try:
            with self._connected() as connection:
                connection.request(
                    method, self._path + path, None if body is None else msgspec.json.encode(body), self._headers
                )
                reply = connection.getresponse()
                content = reply.read(_ANSWER_SIZE_BYTES_MAX + 1)
                if reply.length and len(content) <= _ANSWER_SIZE_BYTES_MAX:
                    raise http.client.IncompleteRead(content, reply.length)
        except ssl.SSLCertVerificationError as error:
            raise RegistryRefused(
                f"the certificate of {self.url} can't be verified ({error.verify_message}): correct {_CA_SETTING}"
            ) from None
        except (OSError, http.client.HTTPException) as error:
            raise RegistryAway(
                f"no schema registry answers at {self.url}: {str(error) or type(error).__name__}"
            ) from None
        if reply.status >= http.HTTPStatus.INTERNAL_SERVER_ERROR or reply.status == _TOO_MANY:
            raise RegistryAway(f"the schema registry at {self.url} answers {reply.status}")
        if len(content) > _ANSWER_SIZE_BYTES_MAX:
            raise RegistryRefused(f"an answer of {self.url} is larger than {_ANSWER_SIZE_BYTES_MAX} bytes")
        try:
            answer = msgspec.json.decode(content, type=dict[str, Any])
        except UNREADABLE:
            if reply.length is None and not reply.chunked:
                # Neither a length nor chunks tell where it ends: it may have broken off, in its headers even.
                raise RegistryAway(f"an answer of {self.url} breaks off") from None
            answer = {}
        return reply.status, answer

    def _judged(self, status: int, answer: dict[str, Any], subject: str) -> dict[str, Any] | None:
        message = str(answer.get("message", ""))[:512]
        if status == http.HTTPStatus.OK and answer:
            return answer
        if status in {http.HTTPStatus.UNAUTHORIZED, http.HTTPStatus.FORBIDDEN}:
            raise RegistryRefused(
                f"the registry at {self.url} answers {status} {message}: correct {_USER_SETTING} and the password"
            )
        if answer.get("error_code") in _NOT_FOUND_CODES:
            return None
        if status == http.HTTPStatus.CONFLICT:
            raise RegistryRefused(
                f"the registry has another schema under {subject}, with which this version's is incompatible "
                f"({message}). `goldenthread schemas check` says more; delete the subject if nobody needs it, or give "
                "this installation another GOLDENTHREAD_TOPIC_PREFIX"
            )
        if status == http.HTTPStatus.UNPROCESSABLE_ENTITY:
            raise RegistryRefused(
                f"the schema registry at {self.url} refuses what {subject or 'it'} is asked: {message}"
            )
        raise RegistryRefused(f"{self.url} answers {status}, as no schema registry does: correct {URL_SETTING}")

    def _number(self, answer: dict[str, Any], name: str) -> int:
        value = answer.get(name)
        if type(value) is not int:
            raise RegistryRefused(f"an answer of {self.url} has no {name}: correct {URL_SETTING}")
        return value

    def _id(self, answer: dict[str, Any]) -> int:
        schema_id = self._number(answer, "id")
        if not 0 < schema_id <= SCHEMA_ID_MAX:
            raise RegistryRefused(f"an answer of {self.url} has no id that a registry gives: correct {URL_SETTING}")
        return schema_id

    @contextmanager
    def _connected(self) -> Iterator[http.client.HTTPConnection]:
        """A connection that is cut off after the time of one try, whatever comes in meanwhile."""
        connection = self._connection()
        connection.connect()
        timer = threading.Timer(_TIMEOUTS_PER_TRY * self._options.timeout_s, _cut, (connection.sock,))
        timer.daemon = True
        timer.start()
        try:
            yield connection
        finally:
            timer.cancel()
            connection.close()

    def _connection(self) -> http.client.HTTPConnection:
        if self._tls is None:
            return http.client.HTTPConnection(self._host, timeout=self._options.timeout_s)
        return http.client.HTTPSConnection(self._host, timeout=self._options.timeout_s, context=self._tls)


def _named(reference: Any) -> tuple[str, int]:
    """Subject and version of a schema that another one names."""
    subject, version = (reference.get("subject"), reference.get("version")) if isinstance(reference, dict) else (0, 0)
    if not isinstance(subject, str) or type(version) is not int:
        raise UnusableSchemaError("what it names has no subject and version")
    return subject, version


def _cut(connected: socket.socket) -> None:
    with suppress(OSError):
        # The class's own: that of a TLS socket would drop its keys under whoever reads.
        socket.socket.shutdown(connected, socket.SHUT_RDWR)


def _tls(ca_file: Path | None) -> ssl.SSLContext:
    try:
        return ssl.create_default_context(cafile=ca_file)
    except (OSError, ssl.SSLError) as error:
        raise SettingError(f"{_CA_SETTING}: {ca_file} can't be used: {error}") from None
