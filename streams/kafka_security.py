"""How clients log in to the brokers, said once and told to both libraries, librdkafka and (by Faust) aiokafka.

The broker's certificate is always verified, its host name included; there is no setting that turns this off.
"""

import ssl
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Any, Final

from schemas.errors import SettingError

#: What every setting of this module starts with.
SETTING_PREFIX: Final = "GOLDENTHREAD_KAFKA_"


class SecurityProtocol(StrEnum):
    """What is spoken with the brokers."""

    PLAINTEXT = "plaintext"
    SSL = "ssl"
    SASL_PLAINTEXT = "sasl_plaintext"
    SASL_SSL = "sasl_ssl"

    @property
    def encrypted(self) -> bool:
        """Whether connections are TLS."""
        return self in {SecurityProtocol.SSL, SecurityProtocol.SASL_SSL}

    @property
    def authenticated(self) -> bool:
        """Whether clients give a user name and a password."""
        return self in {SecurityProtocol.SASL_PLAINTEXT, SecurityProtocol.SASL_SSL}


class SaslMechanism(StrEnum):
    """How user name and password are proven; only PLAIN sends the password itself."""

    PLAIN = "PLAIN"
    SCRAM_SHA_256 = "SCRAM-SHA-256"
    SCRAM_SHA_512 = "SCRAM-SHA-512"


_SASL_FIELDS: Final = ("sasl_mechanism", "sasl_username", "sasl_password")
_FILE_FIELDS: Final = ("ssl_ca_file", "ssl_certificate_file", "ssl_key_file")
_SSL_FIELDS: Final = (*_FILE_FIELDS, "ssl_key_password")


@dataclass(frozen=True, kw_only=True)
class KafkaSecurity:
    """One way to log in; `verify` tells whether it is whole.

    Attributes:
        protocol: What is spoken with the brokers.
        sasl_mechanism: With SASL, how the password is proven.
        sasl_username: With SASL, the user.
        sasl_password: With SASL, the user's password.
        ssl_ca_file: PEM certificates that the broker's must lead to; the system's where none are given.
        ssl_certificate_file: PEM certificate chain with which the client shows who it is.
        ssl_key_file: PEM private key of that certificate.
        ssl_key_password: Password of the private key, where it has one.
    """

    protocol: SecurityProtocol = SecurityProtocol.PLAINTEXT
    sasl_mechanism: SaslMechanism | None = None
    sasl_username: str | None = None
    sasl_password: str | None = field(default=None, repr=False)
    ssl_ca_file: Path | None = None
    ssl_certificate_file: Path | None = None
    ssl_key_file: Path | None = None
    ssl_key_password: str | None = field(default=None, repr=False)

    def verify(self) -> None:
        """Refuse half a configuration, and files that can't be what they have to be.

        Raises:
            SettingError: naming the settings.
        """
        given = {name for name in (*_SASL_FIELDS, *_SSL_FIELDS) if getattr(self, name) is not None}
        self._verify_fits(given)
        missing = [setting(name) for name in _SASL_FIELDS if self.protocol.authenticated and name not in given]
        if missing:
            raise SettingError(f"{self._chosen} needs {', '.join(missing)}")
        for one, other in (("ssl_certificate_file", "ssl_key_file"), ("ssl_key_file", "ssl_certificate_file")):
            if one in given and other not in given:
                raise SettingError(f"{setting(one)} needs {setting(other)}")
        if "ssl_key_password" in given and "ssl_key_file" not in given:
            raise SettingError(f"{setting('ssl_key_password')} needs {setting('ssl_key_file')}")
        for name in _FILE_FIELDS:
            if name in given:
                _require_readable(name, getattr(self, name))
        if given & set(_FILE_FIELDS):
            self.tls_context()

    def properties(self) -> dict[str, str]:
        """Properties of librdkafka."""
        named = {
            "sasl.mechanism": self.sasl_mechanism,
            "sasl.username": self.sasl_username,
            "sasl.password": self.sasl_password,
            "ssl.ca.location": self.ssl_ca_file,
            "ssl.certificate.location": self.ssl_certificate_file,
            "ssl.key.location": self.ssl_key_file,
            "ssl.key.password": self.ssl_key_password,
        }
        properties = {name: str(value) for name, value in named.items() if value is not None}
        if self.protocol.encrypted:
            properties["ssl.endpoint.identification.algorithm"] = "https"
        return {"security.protocol": self.protocol.value} | properties

    def credentials(self) -> Any:
        """Faust's credentials, which it hands to aiokafka; None for plaintext.

        Raises:
            SettingError: a file can't be used.
        """
        # Faust takes a second to import, and only workers need it.
        from faust import SASLCredentials, SSLCredentials

        context = self.tls_context()
        if self.protocol.authenticated:
            return SASLCredentials(
                username=self.sasl_username,
                password=self.sasl_password,
                mechanism=None if self.sasl_mechanism is None else self.sasl_mechanism.value,
                ssl_context=context,
            )
        return None if context is None else SSLCredentials(context)

    def tls_context(self) -> ssl.SSLContext | None:
        """What Python speaks TLS with, None without TLS.

        Raises:
            SettingError: a file is no PEM, or key, password and certificate don't belong together.
        """
        if not self.protocol.encrypted:
            return None
        try:
            context = ssl.create_default_context(ssl.Purpose.SERVER_AUTH, cafile=self.ssl_ca_file)
        except (OSError, ssl.SSLError) as error:
            raise SettingError(f"{setting('ssl_ca_file')}: {self.ssl_ca_file} holds no PEM certificates") from error
        if self.ssl_certificate_file is not None:
            try:
                # Without any password Python would ask for one on the terminal.
                context.load_cert_chain(self.ssl_certificate_file, self.ssl_key_file, self.ssl_key_password or "")
            except (OSError, ssl.SSLError) as error:
                names = ("ssl_certificate_file", "ssl_key_file", "ssl_key_password")
                raise SettingError(
                    f"{', '.join(map(setting, names))}: certificate, key and password don't belong together, or are "
                    f"no PEM ({error})"
                ) from error
        return context

    @property
    def concerned(self) -> tuple[str, ...]:
        """The settings that a broker's refusal may be about."""
        named = [name for name in (*_SASL_FIELDS, *_SSL_FIELDS) if getattr(self, name) is not None]
        return tuple(setting(name) for name in ("security_protocol", *named))

    @property
    def _chosen(self) -> str:
        return f"{setting('security_protocol')}={self.protocol.value}"

    def _verify_fits(self, given: set[str]) -> None:
        """Refuse what the protocol would ignore: whoever set it believes that it protects something."""
        for names, used, wanted in (
            (_SASL_FIELDS, self.protocol.authenticated, "sasl_ssl or sasl_plaintext"),
            (_SSL_FIELDS, self.protocol.encrypted, "sasl_ssl or ssl"),
        ):
            unused = [setting(name) for name in names if name in given and not used]
            if unused:
                raise SettingError(
                    f"{', '.join(unused)} would not be used with {self._chosen}: set "
                    f"{setting('security_protocol')} to {wanted}, or leave them out"
                )


def setting(name: str) -> str:
    """The setting of a field, for errors."""
    return SETTING_PREFIX + name.upper()


def _require_readable(name: str, path: Path) -> None:
    try:
        with path.open("rb"):
            return
    except OSError as error:
        raise SettingError(f"{setting(name)}: {path} can't be read ({error.strerror})") from error
