"""What happens while the schema registry is away; a module of its own, since the settings name it."""

from enum import StrEnum


class Away(StrEnum):
    """What happens while the registry is away."""

    #: Whoever needs it waits.
    WAIT = "wait"
    #: Public topics go out as JSON, and Avro that can't be read goes to `dead`.
    GO_ON = "go_on"
