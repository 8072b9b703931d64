"""The one exception tree.

GoldenthreadError
├── EventError                 one event is wrong: it goes to `dead`, or the sender is answered 4xx
├── UnusableSchemaError        an Avro schema can't be read by; records that it wrote lie in `dead`
├── SettingError               a setting, mapping, policy or registration is wrong: the program does not start
├── OperatorNeeded             a restart heals nothing; exit 4, supervisors stop everything
│   ├── StateError             the local state and the log disagree
│   │   └── PositionLost       a position is not in its log any more, or not yet
│   ├── NotAuthorized          the Kafka user of this process lacks a right
│   ├── TopicError             a topic is not as the catalogue says
│   ├── PolicyRefused          the identity policy would route events otherwise than the one in force
│   ├── RegistryRefused        the schema registry does not take a schema, or this client
│   └── SecretError            the data was sealed with another secret
├── RestartNeeded              this process can't go on, a new one may; exit 3
│   ├── DeliveryFailed         the broker did not take a record
│   ├── Fenced                 another process owns the partition now
│   ├── RegistryAway           the schema registry did not answer in time
│   ├── StoreFailed            a store can't be used
│   │   ├── StoreUnusable      its folder is damaged, foreign or outdated: the next start restores it
│   │   ├── StoreHeld          another process has it
│   │   └── DiskRefused        the disk under it is full
│   └── BrokerUnreachable      the broker did not answer in time
│       └── NoBroker           it never did, so the address may be wrong; exit 2
│           └── LoginRefused   it did, and let this client not in; exit 2
└── UsageError                 the command line asked for something that is not there; exit 2

The docstring of each is what its reader should do. What never leaves its room has its class there.
"""

from enum import StrEnum
from typing import Final

EXIT_DONE: Final = 0
EXIT_PROBLEMS_FOUND: Final = 1
EXIT_USAGE: Final = 2
EXIT_RESTART: Final = 3
EXIT_OPERATOR: Final = 4
#: What shells say of a program that Ctrl-C ended.
EXIT_INTERRUPTED: Final = 130


class DeadCode(StrEnum):
    """Why an event is in `dead`. A code is for ever: dashboards, alerts and retries name it."""

    BROKEN_AVRO = "broken_avro"
    CHANNEL_MISMATCH = "channel_mismatch"
    CONTENT_CONFLICT = "content_conflict"
    FUTURE_TIME = "future_time"
    HORIZON_PASSED = "horizon_passed"
    IDENTIFIER_TOO_LONG = "identifier_too_long"
    ID_TOO_LONG = "id_too_long"
    INVALID_TIME = "invalid_time"
    INVALID_UTF8 = "invalid_utf8"
    MAPPING_FAILED = "mapping_failed"
    MISSING_ATTRIBUTE = "missing_attribute"
    NESTING_TOO_DEEP = "nesting_too_deep"
    NOT_AN_OBJECT = "not_an_object"
    NOT_JSON = "not_json"
    NO_USABLE_IDENTIFIER = "no_usable_identifier"
    NULL_BYTE = "null_byte"
    ORDER_NOT_ALLOWED = "order_not_allowed"
    ORDER_OF_ONE_IDENTIFIER = "order_of_one_identifier"
    ORDER_WITHOUT_OTHER = "order_without_other"
    ORDER_WITH_UNUSABLE_OTHER = "order_with_unusable_other"
    RECORD_TOO_LARGE = "record_too_large"
    REGISTRY_AWAY = "registry_away"
    TOO_MANY_IDENTIFIERS = "too_many_identifiers"
    TOO_MANY_TRAITS = "too_many_traits"
    TRAIT_TOO_LARGE = "trait_too_large"
    UNKNOWN_CHANNEL = "unknown_channel"
    UNKNOWN_SCHEMA = "unknown_schema"
    UNREADABLE_MESSAGE = "unreadable_message"
    WRONG_ATTRIBUTE = "wrong_attribute"


class GoldenthreadError(Exception):
    """Base of everything this program raises on purpose."""

    exit_code: int = EXIT_RESTART


class EventError(GoldenthreadError):
    """Correct the event at its producer and send it again; the original lies in `dead`, nothing else was lost.

    `pointer` is a JSON pointer into the event as sent, empty when the whole of it is meant.
    """

    def __init__(self, code: DeadCode, message: str, pointer: str = "") -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.pointer = pointer


class UnusableSchemaError(GoldenthreadError):
    """Correct the Avro schema as the message says, and register it with all that it names; then retry its records."""


class SettingError(GoldenthreadError):
    """Correct the setting, file or key that the message names, then start again."""

    exit_code = EXIT_USAGE


class UsageError(GoldenthreadError):
    """Read the message, correct the command line and call it again."""

    exit_code = EXIT_USAGE


class OperatorNeeded(GoldenthreadError):
    """Decide what the message asks for. Restarting changes nothing, so supervisors don't."""

    exit_code = EXIT_OPERATOR


class StateError(OperatorNeeded):
    """Bring back what the message says is gone, or go on without it: docs/gaps.md and docs/state.md say how."""


class PositionLost(StateError):
    """As StateError; nothing to do where it is a copy, which is made anew from what the log still has."""


class NotAuthorized(OperatorNeeded):
    """Grant the Kafka user of this process the right that the message names, or start it as the user who has it."""


class TopicError(OperatorNeeded):
    """Make the topic as the message says (`goldenthread init` makes missing ones), or point to another prefix."""


class PolicyRefused(OperatorNeeded):
    """Put back what the message says of the identity file, or begin a migration: docs/policy.md says how."""


class RegistryRefused(OperatorNeeded):
    """Do what the message says: the schema registry does not take a schema of ours, or does not let this client in."""


class SecretError(OperatorNeeded):
    """Start with the secret that the data was written with; without it the data can't be read."""


class RestartNeeded(GoldenthreadError):
    """Start the process again; it restores its state and goes on where it stood."""

    exit_code = EXIT_RESTART


class DeliveryFailed(RestartNeeded):
    """Look at the broker: it refused a record or did not answer in time. Nothing past it was committed."""


class Fenced(RestartNeeded):
    """Nothing to do: another worker took the partition over while this one was away."""


class StoreFailed(RestartNeeded):
    """Start the process again: a store was closed, or can't be used as the message says."""


class StoreUnusable(StoreFailed):
    """Nothing to do: the next start restores the store from its topic. Look at the disk where it happens again.

    `reason` is a word for metrics (`state.store_folder.RebuildReason`).
    """

    def __init__(self, message: str, reason: str) -> None:
        super().__init__(message)
        self.reason = reason


class StoreHeld(StoreFailed):
    """Stop the process that the message names, or wait for its end: one at a time has a store."""


class DiskRefused(StoreFailed):
    """Make room on the disk, or raise the limit that the message names; nothing that was committed is lost."""


class RegistryAway(RestartNeeded):
    """Look at the schema registry: it did not answer in time. The process is started again, and waits for it."""


class BrokerUnreachable(RestartNeeded):
    """Look at the broker: it did not answer in time. The process is started again, and waits for it."""


class NoBroker(BrokerUnreachable):
    """Start the broker, or correct KAFKA_BOOTSTRAP_SERVERS: nothing has answered there since this process started."""

    exit_code = EXIT_USAGE


class LoginRefused(NoBroker):
    """Correct the settings that the message names: user, password or certificates are not what the broker wants."""
