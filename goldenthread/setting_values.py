"""The types of settings whose values have to be more than their shape: addresses, folders, programs, lists of words."""

import ipaddress
import shutil
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any, Final
from urllib.parse import urlsplit

from pydantic import AfterValidator, BeforeValidator, Field
from pydantic_settings import NoDecode

from schemas.enrichment.names import NO_ENRICHERS, enricher_names
from schemas.errors import SettingError
from schemas.origins import ANY_ORIGIN, NO_ORIGIN, is_origin
from streams.faults import read_plan

_PORT_MAX: Final = 65_535
# Each has a topic, and a place in every day that a fragment counts.
CHANNELS_MAX: Final = 128
_LOCALHOST: Final = "localhost"


class Native(StrEnum):
    """Whether events are taken in and folded by the compiled library."""

    #: Where it is built.
    AUTO = "auto"
    #: In Python, wherever it is.
    OFF = "off"


def is_loopback(host: str) -> bool:
    """Whether only this machine reaches what listens on the address."""
    return host == _LOCALHOST or ipaddress.ip_address(host).is_loopback


def reachable(host: str) -> str:
    """Where this machine reaches what listens on the address, as it stands in a URL."""
    if host == _LOCALHOST:
        return host
    address = ipaddress.ip_address(host)
    if address.is_unspecified:
        return "127.0.0.1" if address.version == 4 else "[::1]"
    return host if address.version == 4 else f"[{host}]"


def _words(value: Any) -> Any:
    if isinstance(value, str):
        return tuple(word.strip() for word in value.split(",") if word.strip())
    return value


def _channel_names(value: tuple[str, ...]) -> tuple[str, ...]:
    wrong = [name for name in value if not name.isascii() or not name.replace("_", "a").isalnum() or len(name) > 32]
    if wrong or not value or len(set(value)) != len(value):
        raise ValueError("channels are distinct names of ASCII letters, digits and underscores")
    if len(value) > CHANNELS_MAX:
        raise ValueError(f"{len(value)} channels, {CHANNELS_MAX} are the most")
    return value


def _origins(value: tuple[str, ...]) -> tuple[str, ...]:
    wrong = [origin for origin in value if origin not in (ANY_ORIGIN, NO_ORIGIN) and not is_origin(origin)]
    if wrong:
        raise ValueError(f"{wrong[0]!r} is no origin such as https://shop.example, nor * (any) or none")
    if len(value) > 1 and {ANY_ORIGIN, NO_ORIGIN}.intersection(value):
        raise ValueError("* (any) and none stand alone")
    return value or (NO_ORIGIN,)


def _enrichers(value: tuple[str, ...]) -> tuple[str, ...]:
    # An empty list would read as not set wherever it is passed on.
    return enricher_names(value) or (NO_ENRICHERS,)


def _addresses(value: str) -> str:
    for address in value.split(","):
        host, colon, port = address.strip().rpartition(":")
        if not (host and colon and port.isascii() and port.isdecimal()):
            raise ValueError(f"{address!r} is no host:port")
        if len(port) > len(str(_PORT_MAX)) or not 1 <= int(port) <= _PORT_MAX:
            raise ValueError(f"{address!r}: a port is a number from 1 to {_PORT_MAX}")
    return value


def _own_address(value: str) -> str:
    is_loopback(value)
    return value


def _registry_address(value: str) -> str:
    address = urlsplit(value)
    if address.scheme not in {"http", "https"} or not address.hostname or address.query or address.fragment:
        raise ValueError("it is no http:// or https:// address of a schema registry")
    if address.username is not None or address.password is not None:
        raise ValueError("user and password have settings of their own, which are not shown")
    return value.rstrip("/")


def _more_than_dots(value: str) -> str:
    if value in {".", ".."}:
        raise ValueError(f"{value!r} is no prefix: names of topics don't start with dots alone")
    return value


def _runs(value: Path) -> Path:
    if shutil.which(value / "bin" / "java" if _is_folder(value) else value) is None:
        raise ValueError(f"{value} is neither a program nor a folder with bin/java")
    return value


def _is_there(value: Path) -> Path:
    if not _is_folder(value):
        raise ValueError(f"{value} is no folder")
    return value


def _can_be_folder(value: Path) -> Path:
    # A folder that is missing is made, which can't be done within a file.
    try:
        there = next((path for path in (value, *value.parents) if path.exists()), None)
    except OSError as error:
        raise ValueError(f"{value} can't be used: {error.strerror}") from None
    if there is not None and not _is_folder(there):
        raise ValueError(f"{there} is no folder")
    return value


def _plan(value: str) -> str:
    try:
        read_plan(value)
    except SettingError as error:
        raise ValueError(str(error).partition("=")[2]) from None
    return value


def _is_folder(path: Path) -> bool:
    try:
        return path.is_dir()
    except OSError:
        return False


Port = Annotated[int, Field(ge=1, le=_PORT_MAX)]
Words = Annotated[tuple[str, ...], NoDecode, BeforeValidator(_words)]
Channels = Annotated[Words, AfterValidator(_channel_names)]
Enrichers = Annotated[Words, AfterValidator(_enrichers)]
Origins = Annotated[Words, AfterValidator(_origins)]
#: Of this machine.
Host = Annotated[str, AfterValidator(_own_address)]
Brokers = Annotated[str, AfterValidator(_addresses)]
RegistryUrl = Annotated[str, AfterValidator(_registry_address)]
TopicPrefix = Annotated[str, AfterValidator(_more_than_dots)]
Java = Annotated[Path, AfterValidator(_runs)]
Folder = Annotated[Path, AfterValidator(_is_there)]
#: It may still have to be made.
FolderToBe = Annotated[Path, AfterValidator(_can_be_folder)]
FaultPlan = Annotated[str, AfterValidator(_plan)]
