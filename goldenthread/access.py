"""Who may call the services of this installation: the access file, the write keys of sources, and what `up` made."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Final

from connectors.web.access import Access, AccessKey, Role
from connectors.web.access_file import load_access_file
from connectors.web.access_reload import AccessReload
from goldenthread.setting_values import is_loopback
from goldenthread.settings import Settings, file_of, variable_name
from schemas.credentials import digest_of
from schemas.errors import SettingError
from schemas.sources import load_sources
from streams.logs import logger

#: What the supervisor of `up` does itself: it plays the demo, and reads metrics for its status line.
SUPERVISOR_ROLES: Final = frozenset({Role.COLLECT, Role.METRICS})
_METRICS_READERS: Final = frozenset({Role.METRICS, Role.ADMIN})
#: By the names of the services' commands.
_ROLES: Final = {"collect": Role.COLLECT, "lookup": Role.LOOKUP, "admin": Role.ADMIN, "worker": Role.METRICS}
_log = logger(__name__)


def make_access(settings: Settings, role: Role) -> Access:
    """The keys of the service whose role it is; write keys are for collect alone. Logs what is odd about them.

    Raises:
        SettingError: a file, a key or a value is wrong, or everybody would be let in from other machines.
    """
    access = _access(settings, role)
    if _nobody_reads_metrics(access):
        _log.warning("nobody may read /metrics: no token has the role metrics", service=role.value)
    return access


def _access(settings: Settings, role: Role) -> Access:
    files = [path for path in (_access_file(settings), _sources_file(settings, role)) if path is not None]
    reload = AccessReload(files, _reader(settings, role))
    access = Access(reload.read(), role=role, requests_per_second_max=settings.requests_per_second_max, files=reload)
    if not access.enabled and not is_loopback(settings.host):
        raise SettingError(_everybody(settings, role))
    return access


def _nobody_reads_metrics(access: Access) -> bool:
    return access.enabled and not any(key.roles & _METRICS_READERS for key in access.keys if not key.internal)


def protected_services(settings: Settings) -> list[str]:
    """The services that want a key, by the names of their commands.

    Raises:
        SettingError: as `make_access`, of any of them.
    """
    return [name for name, role in _ROLES.items() if _access(settings, role).enabled]


def metrics_notes(settings: Settings) -> list[str]:
    """What a start would log about metrics that nobody may read, for people.

    Raises:
        SettingError: as `make_access`, of any service.
    """
    unread = [name for name, role in _ROLES.items() if _nobody_reads_metrics(_access(settings, role))]
    return [f"nobody may read /metrics of {' and '.join(unread)}: no token has the role metrics"] if unread else []


def _access_file(settings: Settings) -> Path | None:
    return file_of(settings, "access_file")


def _sources_file(settings: Settings, role: Role) -> Path | None:
    return file_of(settings, "sources_file") if role is Role.COLLECT else None


def _reader(settings: Settings, role: Role) -> Callable[[], list[AccessKey]]:
    def read() -> list[AccessKey]:
        keys: list[AccessKey] = []
        if (path := _access_file(settings)) is not None:
            keys += load_access_file(path, os.environ)
        if (path := _sources_file(settings, role)) is not None:
            keys += _write_keys(path)
        if settings.supervisor_token is not None:
            digest = digest_of(settings.supervisor_token.get_secret_value())
            keys.append(AccessKey(name="up", roles=SUPERVISOR_ROLES, digest=digest, internal=True))
        return keys

    return read


def _write_keys(path: Path) -> list[AccessKey]:
    try:
        return [
            AccessKey(
                name=key.source,
                roles=frozenset({Role.COLLECT}),
                digest=key.digest,
                source=key.source,
                expires_us=key.expires_us,
                requests_per_second=key.requests_per_second,
            )
            for key in load_sources(path).write_keys(os.environ)
        ]
    except SettingError as error:
        raise SettingError(f"{path}: {str(error).removeprefix(f'{path}: ')}") from error


def _everybody(settings: Settings, role: Role) -> str:
    keys = f"a token of the role {role} in {variable_name('access_file')} (`goldenthread access make` makes one)"
    if role is Role.COLLECT:
        keys += f", or write keys in {variable_name('sources_file')}"
    return (
        f"{variable_name('host')}: other machines reach {settings.host}, and nothing says who may call what needs the "
        f"role {role}: give {keys}; or set it to 127.0.0.1"
    )
