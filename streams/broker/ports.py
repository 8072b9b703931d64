"""Checks that ports are free before something is started on them, and says which setting to change."""

import errno
import os
import socket
import time
from collections.abc import Sequence
from typing import Final, NamedTuple

from schemas.errors import SettingError

# A process that was just killed holds its ports for some more milliseconds; this is how long they are waited for.
PATIENCE_S: Final = 1.0
_POLL_S: Final = 0.05
PORT_MAX: Final = 65_535


class Port(NamedTuple):
    """A TCP port that something is going to listen on."""

    number: int
    setting: str
    purpose: str


def require_free(ports: Sequence[Port], *, host: str = "127.0.0.1", patience_s: float = PATIENCE_S) -> None:
    """Return when all ports can be listened on.

    Raises:
        SettingError: a port is taken, not allowed, or given twice; the message names its setting.
    """
    seen: dict[int, Port] = {}
    for port in ports:
        if not 0 < port.number <= PORT_MAX:
            raise SettingError(f"{port.setting}={port.number} is no port. Set it to a number from 1 to {PORT_MAX}.")
        other = seen.setdefault(port.number, port)
        if other is not port:
            raise SettingError(
                f"{other.setting} and {port.setting} are both {port.number}. Set one of them to another port."
            )
    deadline = time.monotonic() + patience_s
    for port in ports:
        while (failure := _bind_error(host, port.number)) is not None:
            if failure != errno.EADDRINUSE:
                raise SettingError(
                    f"Port {port.number} on {host} ({port.purpose}) can't be used: {os.strerror(failure)}. "
                    f"Set {port.setting} to another port."
                )
            if time.monotonic() >= deadline:
                raise SettingError(
                    f"Port {port.number} on {host} ({port.purpose}) is in use by another program. "
                    f"Stop that program, or set {port.setting} to a free port."
                )
            time.sleep(_POLL_S)


def _bind_error(host: str, number: int) -> int | None:
    """The error number of an attempt to listen, or None when it works."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        # Servers set this too: connections that wait out their end are no hindrance.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, number))
            probe.listen(1)
        except OSError as error:
            return error.errno
    return None
