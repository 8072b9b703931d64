"""The one settings class: the environment, `.env` and `goldenthread.toml`, in this order of precedence.

Every setting is `GOLDENTHREAD_<NAME>` in the environment (the brokers also KAFKA_BOOTSTRAP_SERVERS) and `<name>` in
the TOML file. docs/configuration.md is generated from this class by `goldenthread config show --markdown`.
"""

import difflib
import os
from pathlib import Path
from typing import Any, Final, Self

from dotenv import dotenv_values
from pydantic import AliasChoices, Field, SecretStr, ValidationError, ValidationInfo, field_validator, model_validator
from pydantic_settings import (
    BaseSettings,
    DotEnvSettingsSource,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
    TomlConfigSettingsSource,
)

from goldenthread.setting_values import (
    Brokers,
    Channels,
    Enrichers,
    FaultPlan,
    Folder,
    FolderToBe,
    Host,
    Java,
    Native,
    Origins,
    Port,
    RegistryUrl,
    TopicPrefix,
    Words,
    reachable,
)
from schemas.enrichment.names import ENRICHERS
from schemas.errors import SettingError
from schemas.limits import FUTURE_TOLERANCE_SECONDS
from schemas.origins import ANY_ORIGIN
from schemas.topics import DEFAULT_CHANNELS, DEFAULT_PARTITIONS, DEFAULT_PREFIX
from streams.kafka_security import KafkaSecurity, SaslMechanism, SecurityProtocol
from streams.registry_away import Away

PREFIX: Final = "GOLDENTHREAD_"
TOML_FILE: Final = "goldenthread.toml"
ENV_FILE: Final = ".env"
# Settings that are known by the name that other Kafka programs give them, too.
_BY_ANOTHER_NAME: Final = {"kafka_bootstrap_servers": "KAFKA_BOOTSTRAP_SERVERS", "kafka_home": "KAFKA_HOME"}


class Settings(BaseSettings):
    """Everything that can be set, with its default and its unit."""

    model_config = SettingsConfigDict(
        env_prefix=PREFIX,
        env_file=ENV_FILE,
        toml_file=TOML_FILE,
        extra="forbid",
        frozen=True,
        populate_by_name=True,
        env_ignore_empty=True,
    )

    kafka_bootstrap_servers: Brokers | None = Field(
        None,
        validation_alias=AliasChoices("KAFKA_BOOTSTRAP_SERVERS", f"{PREFIX}KAFKA_BOOTSTRAP_SERVERS"),
        description="Brokers as host:port, separated by commas; `up` starts one of its own where none is given.",
    )
    kafka_security_protocol: SecurityProtocol = Field(
        SecurityProtocol.PLAINTEXT,
        description="plaintext, ssl, sasl_plaintext or sasl_ssl; a local broker is plaintext on loopback.",
    )
    kafka_sasl_mechanism: SaslMechanism | None = Field(None, description="PLAIN, SCRAM-SHA-256 or SCRAM-SHA-512.")
    kafka_sasl_username: str | None = Field(None, description="User at the brokers, with SASL.")
    kafka_sasl_password: SecretStr | None = Field(None, description="That user's password.")
    kafka_ssl_ca_file: Path | None = Field(
        None, description="PEM certificates that the brokers' must lead to; the system's where none are given."
    )
    kafka_ssl_certificate_file: Path | None = Field(
        None, description="PEM certificate chain with which clients show who they are."
    )
    kafka_ssl_key_file: Path | None = Field(None, description="PEM private key of that certificate.")
    kafka_ssl_key_password: SecretStr | None = Field(None, description="Password of the private key.")
    schema_registry_url: RegistryUrl | None = Field(
        None,
        description="Schema registry: public topics hold Avro then, and Avro comes in (docs/schemas.md). None: JSON.",
    )
    schema_registry_user: str | None = Field(None, description="User for the registry's basic authentication.")
    schema_registry_password: SecretStr | None = Field(None, description="That user's password.")
    schema_registry_ca_file: Path | None = Field(
        None, description="PEM certificates that the registry's must lead to; the system's where none are given."
    )
    schema_registry_away: Away = Field(
        Away.WAIT,
        description="While the registry is away: `wait` for it, or `go_on` in JSON, with unknown Avro to `dead`.",
    )
    application: str = Field(
        "goldenthread", pattern=r"^[a-zA-Z0-9._-]{1,64}$",
        description="Name of the consumer group and first part of the transactional ids.",
    )  # fmt: skip
    topic_prefix: TopicPrefix = Field(
        DEFAULT_PREFIX, pattern=r"^[a-zA-Z0-9._-]{0,64}$", description="What the names of all topics start with."
    )
    partitions: int = Field(
        DEFAULT_PARTITIONS, ge=1, le=1024, description="Partitions of each topic; fixed once the topics are made."
    )
    replication: int = Field(1, ge=1, le=9, description="Replicas of each topic that `init` makes.")
    channels: Channels = Field(DEFAULT_CHANNELS, description="Channels, separated by commas; each has a raw topic.")

    data_dir: FolderToBe = Field(Path(".goldenthread"), description="Where state, the local broker and logs are kept.")
    cache_dir: FolderToBe | None = Field(
        None, description="Where the local broker's jars are kept; the user's cache folder where none is given."
    )
    secret: SecretStr | None = Field(
        None,
        description="At least 16 bytes; fragment ids and sealing derive from it. Without it one is made in data_dir.",
    )
    sources_file: Path | None = Field(None, description="Registration of sources (docs/sources.md).")
    identity_file: Path | None = Field(None, description="Identity policy (docs/policy.md).")
    alarm_cluster_identifiers: int = Field(
        50, ge=0, description="Identifying identifiers of one customer past which an alarm is raised; 0 is never."
    )
    alarm_gained_per_hour: int = Field(
        100, ge=0, description="Identifiers that one customer gains by events of one hour, likewise; 0 is never."
    )
    alarm_shared_per_hour: int = Field(
        1_000, ge=0, description="Identifiers that events of one hour show to be shared, likewise; 0 is never."
    )
    trusted_traits: Words = Field(
        ("email", "phone"), description="Traits for which a better grade wins over a newer time, separated by commas."
    )
    enrichers: Enrichers = Field(
        ENRICHERS,
        description="Enrichers that run (docs/enrichment.md), separated by commas; `none` switches all off.",
    )
    dedupe_horizon_days: int | None = Field(
        None,
        ge=1,
        description="Days after which dedupe forgets; older events are dead letters. None: it never forgets.",
    )
    future_tolerance_seconds: int = Field(
        FUTURE_TOLERANCE_SECONDS, ge=0, le=86_400, description="How far an event's time may lie in the future, seconds."
    )

    host: Host = Field(
        "127.0.0.1",
        description="Address that the HTTP services listen on; any but loopback needs keys (docs/access.md).",
    )
    access_file: Path | None = Field(None, description="Tokens of people and programs, with roles (docs/access.md).")
    requests_per_second_max: float | None = Field(
        None,
        ge=0.001,
        le=1_000_000,
        description="Requests a second for keys that have no limit of their own; None: any.",
    )
    token: SecretStr | None = Field(
        None, min_length=1, description="The token of `send`, `customer get`, `identity` and `state`."
    )
    supervisor_token: SecretStr | None = Field(
        None, min_length=16, description="Made by `up` for its processes: sends events and reads metrics, as `up` does."
    )
    lookup_port: Port = Field(8080, description="Port of the lookup service.")
    collect_port: Port = Field(8090, description="Port of collect.")
    admin_port: Port = Field(8070, description="Port of the admin service, which takes orders about who is who.")
    worker_port: Port = Field(8100, description="Port of the first worker's metrics; the others follow.")
    broker_port: Port = Field(9092, description="Port of the local broker.")
    controller_port: Port = Field(9093, description="Port of the local broker's controller.")
    broker_heap_mb: int = Field(512, ge=256, le=65_536, description="Heap of the local broker, MiB.")
    java: Java | None = Field(None, description="A Java runtime instead of the packaged one.")
    kafka_home: Folder | None = Field(
        None,
        validation_alias=AliasChoices("KAFKA_HOME", f"{PREFIX}KAFKA_HOME"),
        description="An unpacked Kafka of the machine instead of the fetched one.",
    )

    worker_index: int = Field(
        0, ge=0, le=999, description="Tells workers that share a data_dir apart: folder, port, static membership."
    )
    session_timeout_s: float = Field(
        10.0, ge=1.0, le=300.0, description="After this long without a sign the group takes a worker for dead, seconds."
    )
    standstill_timeout_s: float = Field(
        20.0,
        ge=1.0,
        le=3_600.0,
        description="A worker that does nothing for so long though events wait ends and is started again, seconds.",
    )
    checkpoint_interval_ms: int = Field(
        200, ge=1, le=60_000, description="Longest time between checkpoints while events keep coming, ms."
    )
    checkpoint_events_max: int = Field(
        20_000, ge=1, le=1_000_000, description="Most events of a partition in one checkpoint."
    )
    checkpoint_pause_ms: int = Field(
        50, ge=0, le=1_000, description="Shortest time between checkpoints once caught up, ms."
    )
    cached_fragments_max: int = Field(
        20_000, ge=100, description="Fragments whose rows a partition keeps in memory between checkpoints."
    )
    cached_fragments_mb: int = Field(
        48, ge=1, le=65_536, description="What these may take in memory, for each partition, MiB (docs/performance.md)."
    )
    native: Native = Field(
        Native.AUTO,
        description="`auto`: the compiled library does the usual work where it is built; `off`: Python does all.",
    )
    read_ahead_mb: int = Field(
        96,
        ge=6,
        le=65_536,
        description="What a worker holds of records that it fetched and has not committed, MiB (docs/performance.md).",
    )
    intake_events_per_second_max: float = Field(
        0,
        ge=0,
        le=1_000_000,
        description="Events a second that a worker takes in, to spare a broker or a machine; the rest waits. 0: any.",
    )
    store_cache_mb: int = Field(
        192,
        ge=8,
        le=1_048_576,
        description="Blocks, indexes and write buffers that all stores of a process share, MiB (docs/performance.md).",
    )

    collect_body_size_bytes_max: int = Field(
        4 * 1024 * 1024, ge=1024, le=64 * 1024 * 1024, description="Largest request body that collect takes, bytes."
    )
    collect_batch_events_max: int = Field(2_500, ge=1, le=100_000, description="Most events in one batch.")
    cors_origins: Origins = Field(
        (ANY_ORIGIN,),
        description="Origins whose pages may send events to collect, such as https://shop.example, separated by "
        "commas; * is any, none is none.",
    )
    collect_linger_ms: int = Field(
        10, ge=0, le=1_000, description="How long collect gathers events for one request to the broker, ms."
    )
    interactions_days: int = Field(
        400, ge=1, description="How long the lookup keeps interactions, days; at most what the topic keeps."
    )
    page: bool = Field(True, description="Whether the lookup shows the page for people at `/` (docs/page.md).")

    log_level: str = Field(
        "INFO", pattern=r"^(DEBUG|INFO|WARNING|ERROR)$", description="DEBUG, INFO, WARNING or ERROR."
    )
    work_niceness: int = Field(
        3,
        ge=0,
        le=19,
        description="How far worker and broker of `up` give way to collect and lookup, as `nice` counts.",
    )
    restarts_max: int = Field(15, ge=0, le=100, description="Restarts of one process within restart_window_s.")
    restart_window_s: int = Field(120, ge=1, le=86_400, description="The time in which restarts_max counts, seconds.")
    fault: FaultPlan | None = Field(
        None,
        description="For drills: [STAGE/]POINT[:COUNT][=ACTION], several separated by commas. The worker is hit there "
        "by kill (default), stop, fail or wait-SECONDS.",
    )

    @model_validator(mode="after")
    def _ports_differ(self) -> Self:
        names = ("lookup_port", "collect_port", "admin_port", "worker_port", "broker_port", "controller_port")
        seen: dict[int, str] = {}
        for name in names:
            other = seen.setdefault(getattr(self, name), name)
            if other != name:
                raise ValueError(f"{variable_name(other)} and {variable_name(name)} are the same port")
        return self

    @field_validator("kafka_security_protocol", "kafka_sasl_mechanism", mode="before")
    @classmethod
    def _any_case(cls, value: Any, info: ValidationInfo) -> Any:
        # Other Kafka programs write the protocol in capitals.
        if not isinstance(value, str):
            return value
        return value.lower() if info.field_name == "kafka_security_protocol" else value.upper()

    @model_validator(mode="after")
    def _login(self) -> Self:
        security = self.kafka_security
        try:
            security.verify()
        except SettingError as error:
            raise ValueError(str(error)) from None
        if self.kafka_bootstrap_servers is None and security.protocol is not SecurityProtocol.PLAINTEXT:
            raise ValueError(
                f"{variable_name('kafka_security_protocol')}={security.protocol.value} needs "
                f"{variable_name('kafka_bootstrap_servers')}: the local broker is plaintext on loopback"
            )
        return self

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,  # noqa: ARG003 - pydantic's signature.
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """The order of precedence: arguments, environment, `.env`, TOML."""
        if isinstance(dotenv_settings, DotEnvSettingsSource):
            # Other programs, such as Docker Compose, keep their variables in the same file.
            ours = {PREFIX.lower() + field for field in settings_cls.model_fields} | _BY_ANOTHER_NAME.keys()
            given = dotenv_settings.env_vars
            dotenv_settings.env_vars = {name: value for name, value in given.items() if name.lower() in ours}
        return init_settings, env_settings, dotenv_settings, TomlConfigSettingsSource(settings_cls)

    @property
    def bootstrap_servers(self) -> str:
        """The given brokers, or the local one."""
        return self.kafka_bootstrap_servers or f"127.0.0.1:{self.broker_port}"

    @property
    def store_cache_size_bytes(self) -> int:
        """What the block cache of a process may hold."""
        return self.store_cache_mb * 1024 * 1024

    @property
    def cached_fragments_size_bytes_max(self) -> int:
        """What the rows of a partition's fragments may take between checkpoints."""
        return self.cached_fragments_mb * 1024 * 1024

    @property
    def read_ahead_size_bytes_max(self) -> int:
        """What a worker holds of records that it fetched and has not committed."""
        return self.read_ahead_mb * 1024 * 1024

    @property
    def local_host(self) -> str:
        """Where this machine's own clients reach the services, as it stands in a URL."""
        return reachable(self.host)

    @property
    def kafka_security(self) -> KafkaSecurity:
        """How every Kafka client of ours logs in."""
        return KafkaSecurity(
            protocol=self.kafka_security_protocol,
            sasl_mechanism=self.kafka_sasl_mechanism,
            sasl_username=self.kafka_sasl_username,
            sasl_password=revealed(self.kafka_sasl_password),
            ssl_ca_file=self.kafka_ssl_ca_file,
            ssl_certificate_file=self.kafka_ssl_certificate_file,
            ssl_key_file=self.kafka_ssl_key_file,
            ssl_key_password=revealed(self.kafka_ssl_key_password),
        )

    @property
    def worker_dir(self) -> Path:
        """Where this worker keeps its stores."""
        return self.data_dir / f"worker-{self.worker_index}"


def revealed(secret: SecretStr | None) -> str | None:
    """The text of a secret, for whoever has to show it."""
    return None if secret is None else secret.get_secret_value()


def variable_name(field: str) -> str:
    """The environment variable of a setting."""
    return _BY_ANOTHER_NAME.get(field, PREFIX + field.upper())


def file_of(settings: Settings, field: str) -> Path | None:
    """The file that a setting names, if it names one.

    Raises:
        SettingError: there is no such file.
    """
    path: Path | None = getattr(settings, field)
    if path is not None and not path.is_file():
        raise SettingError(f"{variable_name(field)}: {path} is no file")
    return path


def load_settings(**overrides: Any) -> Settings:
    """The settings of this process; `overrides` are what the command line gave.

    Raises:
        SettingError: naming each wrong or unknown setting.
    """
    for name in (ENV_FILE, TOML_FILE):
        # Neither reader would say a word.
        if Path(name).is_dir():
            raise SettingError(f"{name} is a folder, where a file with settings is looked for")
    try:
        in_file = dotenv_values(ENV_FILE)
    except (OSError, ValueError) as error:
        raise SettingError(f"{ENV_FILE} can't be read: {error}") from error
    _refuse_unknown({**in_file, **os.environ})
    given = {name: value for name, value in overrides.items() if value is not None}
    try:
        return Settings(**given)
    except ValidationError as error:
        raise SettingError("; ".join(_problem(problem) for problem in error.errors())) from None
    except (OSError, ValueError) as error:
        raise SettingError(f"{TOML_FILE} can't be read: {error}") from error


def _problem(problem: Any) -> str:
    if not problem["loc"]:
        return str(problem["msg"]).removeprefix("Value error, ")
    name = str(problem["loc"][0])
    field = name if name in Settings.model_fields else name.removeprefix(PREFIX).lower()
    if problem["type"] == "extra_forbidden":
        return f"{name} is no setting{_nearest(field)}"
    return f"{variable_name(field)}: {problem['msg'].removeprefix('Value error, ')}"


def _refuse_unknown(environment: dict[str, str | None]) -> None:
    known = {PREFIX + field.upper() for field in Settings.model_fields}
    for name in sorted(environment):
        if name.startswith(PREFIX) and name.upper() not in known:
            raise SettingError(f"{name} is no setting{_nearest(name.removeprefix(PREFIX).lower())}")


def _nearest(field: str) -> str:
    near = difflib.get_close_matches(field, Settings.model_fields, n=1)
    return f"; did you mean {variable_name(near[0])}?" if near else ""
