"""Origins of web pages as browsers write them: which may send events is a setting."""

import re
from typing import Final

ANY_ORIGIN: Final = "*"
#: The word for none at all, where an empty list would read as not set.
NO_ORIGIN: Final = "none"
_ORIGIN: Final = re.compile(r"https?://(?:[a-z0-9.-]+|\[[0-9a-f:.]+\])(?::[0-9]{1,5})?", re.ASCII)


def is_origin(text: str) -> bool:
    """Whether it is an origin: scheme, host in lower case, and the port where it is an unusual one."""
    return _ORIGIN.fullmatch(text) is not None
