"""What the checks look at: settings and what is made from them, without making anything on disk."""

import secrets
from dataclasses import dataclass
from typing import Final

from goldenthread.doctor.finding import Finding, Status
from goldenthread.parts import catalogue_of, kafka_of
from goldenthread.secret import SECRET_FILE
from goldenthread.settings import Settings
from schemas.errors import SettingError
from schemas.keys import Keyring
from schemas.topics import Catalogue
from streams.kafka import KafkaOptions

_STAND_IN_LENGTH_BYTES: Final = 32


@dataclass(frozen=True)
class Examination:
    """One run of the checks.

    Attributes:
        settings: What is set.
        catalogue: The topics of this installation.
        kafka: How its brokers are reached.
        keyring: Keys of its secret; None where there is no secret yet, or it can't be read.
    """

    settings: Settings
    catalogue: Catalogue
    kafka: KafkaOptions
    keyring: Keyring | None

    @classmethod
    def of(cls, settings: Settings) -> "Examination":
        """Everything that can be made without writing."""
        return cls(settings, catalogue_of(settings), kafka_of(settings, "doctor"), _keyring(settings))

    @property
    def any_keyring(self) -> Keyring:
        """The installation's keys, or some that nobody has: for checks to which the keys don't matter."""
        return self.keyring or Keyring(secrets.token_bytes(_STAND_IN_LENGTH_BYTES))

    @property
    def broker_is_local(self) -> bool:
        """Whether the broker is the one that `up` starts."""
        return self.settings.kafka_bootstrap_servers is None


def _keyring(settings: Settings) -> Keyring | None:
    """The keys, without making a secret as a start would."""
    try:
        if settings.secret is not None:
            return Keyring(settings.secret.get_secret_value().encode())
        return Keyring((settings.data_dir / SECRET_FILE).read_bytes())
    except (OSError, SettingError):
        return None


class Report:
    """Gathers the findings of one check."""

    def __init__(self, check: str) -> None:
        self._check = check
        self.findings: list[Finding] = []

    def ok(self, found: str) -> None:
        """It is as it should be."""
        self.findings.append(Finding(self._check, Status.OK, found))

    def warn(self, found: str, action: str) -> None:
        """It works, and should be looked at."""
        self.findings.append(Finding(self._check, Status.WARNING, found, action))

    def problem(self, found: str, action: str) -> None:
        """It does not work, or will not."""
        self.findings.append(Finding(self._check, Status.PROBLEM, found, action))

    def skip(self, found: str, action: str = "") -> None:
        """It could not be looked at; with what would let it."""
        self.findings.append(Finding(self._check, Status.SKIPPED, found, action))
