"""The secret of an installation, given or made once in the data directory; and the directory's own name."""

import contextlib
import os
import secrets
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from goldenthread.settings import Settings, variable_name
from schemas.errors import SecretError, SettingError
from schemas.keys import Keyring

SECRET_FILE: Final = "secret"  # noqa: S105 - the name of the file, not what it holds.
FINGERPRINT_FILE: Final = "secret.fingerprint"
INSTALLATION_FILE: Final = "installation"
DATA_DIR_MODE: Final = 0o700
_MADE_LENGTH_BYTES: Final = 32
_NAME_LENGTH_BYTES: Final = 4


def keyring(settings: Settings) -> Keyring:
    """The keys of this installation; makes a secret where there is none, readable for its owner only.

    Raises:
        SecretError: the data directory was written with another secret.
        SettingError: the secret is too short, or the data directory can't be made, read or written.
    """
    with usable(settings):
        make_data_dir(settings)
        path = settings.data_dir / SECRET_FILE
        given = settings.secret
        keys = Keyring(_made(path) if given is None else given.get_secret_value().encode())
        _hold_to(settings.data_dir / FINGERPRINT_FILE, keys.fingerprint)
        return keys


def make_data_dir(settings: Settings) -> None:
    """Make the data directory where there is none, for this user alone: stores and logs have no rights of their own."""
    settings.data_dir.mkdir(mode=DATA_DIR_MODE, parents=True, exist_ok=True)


@contextlib.contextmanager
def usable(settings: Settings) -> Iterator[None]:
    """What the system refuses within is a data directory that can't be used; for what every start does there.

    Raises:
        SettingError: naming the setting and what was refused.
    """
    try:
        yield
    except OSError as error:
        raise SettingError(
            f"{variable_name('data_dir')}: {settings.data_dir} can't be used ({error}): set it to a folder that this "
            "user may write to"
        ) from error


def installation_name(settings: Settings) -> str:
    """A name of the data directory that no other has; made once."""
    path = settings.data_dir / INSTALLATION_FILE
    with usable(settings):
        if not path.exists():
            write_once(path, secrets.token_hex(_NAME_LENGTH_BYTES).encode())
        return path.read_text()


def write_once(path: Path, content: bytes, mode: int = 0o600) -> None:
    """Make the file with its content at once, so that a second process sees all of it or nothing."""
    draft = path.with_name(f"{path.name}.{os.getpid()}")
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        # The umask may have taken away what the group shall have.
        os.fchmod(file.fileno(), mode)
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    try:
        os.link(draft, path)
    except FileExistsError:
        pass
    finally:
        draft.unlink()


def _made(path: Path) -> bytes:
    if not path.exists():
        write_once(path, secrets.token_hex(_MADE_LENGTH_BYTES).encode())
    return path.read_bytes()


def _hold_to(path: Path, fingerprint: str) -> None:
    if not path.exists():
        write_once(path, fingerprint.encode())
    known = path.read_text()
    if known != fingerprint:
        raise SecretError(
            f"GOLDENTHREAD_SECRET is not the one that {path.parent} was written with: start with that one, or with "
            "another GOLDENTHREAD_DATA_DIR"
        )
