"""Checks of what is set: settings, secret, sources, identity policy, mappings, and who may read the files of these."""

import stat
from pathlib import Path
from typing import Final

from goldenthread.doctor.examination import Examination, Report
from goldenthread.parts import make_parts
from goldenthread.secret import FINGERPRINT_FILE, SECRET_FILE
from goldenthread.settings import ENV_FILE, TOML_FILE, Settings, variable_name
from schemas.errors import SettingError
from streams.kafka_security import SaslMechanism, SecurityProtocol

#: Settings that name a file which holds, or unlocks, secrets.
_SECRET_FILES: Final = ("access_file", "kafka_ssl_key_file")
#: Words that stand in files which may be public unless they hold keys.
_SECRET_WORDS: Final = ("KEY", "PASSWORD", "SECRET", "TOKEN")
_OTHERS: Final = stat.S_IRWXO
#: What to do where the secret is missing, and data was sealed with one.
WHERE_SECRET: Final = (
    f"start where the data directory is, or set {variable_name('data_dir')} or {variable_name('secret')} to that of "
    "the running processes"
)


def check_settings(examination: Examination, report: Report) -> None:
    """What is set, and what of it is for tests alone."""
    settings = examination.settings
    given = sorted(variable_name(name) for name in settings.model_fields_set)
    report.ok(f"{len(given)} settings differ from or repeat a default: {', '.join(given) or 'none'}")
    if settings.fault is not None:
        report.problem(
            f"{variable_name('fault')} is set: it hits the worker on purpose",
            f"unset {variable_name('fault')} but in drills",
        )
    sends_password = settings.kafka_sasl_mechanism is SaslMechanism.PLAIN
    if settings.kafka_security_protocol is SecurityProtocol.SASL_PLAINTEXT:
        crossing = "the password and all records cross" if sends_password else "all records cross"
        report.warn(
            f"{crossing} the network unencrypted ({variable_name('kafka_security_protocol')}=sasl_plaintext)",
            "use sasl_ssl",
        )


def check_secret(examination: Examination, report: Report) -> None:
    """There is one, and it is that of the data directory."""
    settings = examination.settings
    path = settings.data_dir / SECRET_FILE
    known = _text(settings.data_dir / FINGERPRINT_FILE)
    if examination.keyring is None:
        if path.exists() or settings.secret is not None:
            where = variable_name("secret") if settings.secret is not None else str(path)
            report.problem(f"{where} can't be read, or is too short", "let this user read it, or set a longer secret")
        elif known is None:
            report.warn(
                f"there is no secret in {settings.data_dir}", f"the very first start makes one; else {WHERE_SECRET}"
            )
        else:
            report.problem(
                f"{path} is gone, and the data directory was written with a secret",
                f"restore the file from a backup, or set {variable_name('secret')}",
            )
        return
    source = "set" if settings.secret is not None else f"in {path}: back it up, data can't be read without it"
    if known is not None and known != examination.keyring.fingerprint:
        report.problem(
            f"the secret is not the one that {settings.data_dir} was written with",
            f"set {variable_name('secret')} to that one, or {variable_name('data_dir')} to another folder",
        )
    else:
        report.ok(f"the secret is {source}")


def check_files(examination: Examination, report: Report) -> None:
    """Sources, identity policy and mappings are read as a start would read them."""
    parts = make_parts(examination.settings, "doctor", examination.any_keyring)
    sources = len(parts.registry.sources)
    if examination.settings.sources_file is None:
        report.ok(
            f"this shell names no sources file ({variable_name('sources_file')}), so to what it starts every link is a "
            "claim (docs/sources.md); running processes may have another"
        )
    else:
        report.ok(f"{sources} sources, {len(parts.policy.kinds)} kinds of identifiers, mappings are readable")


def check_file_modes(examination: Examination, report: Report) -> None:
    """Nobody but the owner, and a group of his choice, may read files with secrets."""
    open_files = [path for path in secret_files(examination.settings) if _mode(path) & _OTHERS]
    for path in open_files:
        report.problem(f"{path} can be read or written by every user of this machine", f"chmod o-rwx {path}")
    if not open_files:
        report.ok("files with secrets are closed to other users")


def secret_files(settings: Settings) -> list[Path]:
    """Files that are there and may hold secrets."""
    named = [getattr(settings, name) for name in _SECRET_FILES]
    candidates = [settings.data_dir / SECRET_FILE, *(path for path in named if path is not None)]
    mixed = (Path(ENV_FILE), Path(TOML_FILE), settings.sources_file)
    candidates += [path for path in mixed if path is not None and _holds_secrets(path)]
    return [path for path in candidates if path.is_file()]


def _holds_secrets(path: Path) -> bool:
    """Whether a line that is no comment has one of the words and does not only name a digest or a variable."""
    lines = [line.upper() for line in (_text(path) or "").splitlines() if not line.lstrip().startswith("#")]
    plain = [line for line in lines if "SHA256:" not in line and "ENV:" not in line]
    return any(word in line for word in _SECRET_WORDS for line in plain)


def _mode(path: Path) -> int:
    try:
        return path.stat().st_mode
    except OSError as error:
        raise SettingError(f"{path} can't be looked at: {error.strerror}") from error


def _text(path: Path) -> str | None:
    try:
        return path.read_text()
    except (OSError, UnicodeDecodeError):
        return None
