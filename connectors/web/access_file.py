"""Reads `access.yaml`: the tokens of people and programs, their roles, expiry and rate.

```yaml
tokens:
  - {name: desktop, role: lookup, token: "sha256:9f86d0…", expires: 2027-01-31T00:00:00Z}
  - {name: till, roles: [collect], token: "env:TILL_TOKEN", requests_per_second: 50}
```
Two tokens may be for the same purpose: the new one is added, clients change over, the old one goes.
"""

from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import msgspec

from connectors.web.access import AccessKey, Role
from schemas.credentials import RequestRate, closed_form, expiry_us, resolved_digest
from schemas.errors import SettingError
from schemas.yaml_files import decode_yaml, read_yaml_file

#: The fewest characters of a plain token.
TOKEN_LENGTH_MIN: Final = 16
TOKENS_MAX: Final = 10_000


class TokenEntry(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True, kw_only=True):
    """One token as the file has it."""

    name: str
    role: Role | None = None
    roles: tuple[Role, ...] = ()
    #: Plain, `sha256:` and its digits, or `env:NAME`.
    token: str
    #: RFC 3339; from then on the token does not count.
    expires: Any = None
    requests_per_second: RequestRate | None = None


class AccessFile(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The whole file."""

    tokens: tuple[TokenEntry, ...] = ()


def load_access_file(path: Path, environment: Mapping[str, str]) -> list[AccessKey]:
    """The tokens of a file, without their plain texts.

    Args:
        path: The file.
        environment: Where tokens that are given as `env:NAME` are.

    Raises:
        SettingError: the file can't be read, or has an unknown key or a wrong value; it says where and quotes no token.
    """
    decoded = decode_yaml(read_yaml_file(path), AccessFile, str(path), {".tokens": TokenEntry})
    if len(decoded.tokens) > TOKENS_MAX:
        raise SettingError(f"{path}: {len(decoded.tokens)} tokens, at most {TOKENS_MAX} are taken")
    keys = [_key(entry, f"{path}: tokens[{number}]", environment) for number, entry in enumerate(decoded.tokens)]
    for name, number in Counter(key.name for key in keys).items():
        if number > 1:
            raise SettingError(f"{path}: {number} tokens are named {name!r}; the log could not tell them apart")
    return keys


def _key(entry: TokenEntry, place: str, environment: Mapping[str, str]) -> AccessKey:
    if not entry.name:
        raise SettingError(f"{place}: a token needs a name, which the log calls it by")
    place = f"{place} ({entry.name})"
    roles = frozenset(entry.roles) if entry.role is None else frozenset({entry.role, *entry.roles})
    if not roles:
        raise SettingError(f"{place}: say what it is for, role: one of {', '.join(Role)}")
    closed = closed_form(entry.token, place, TOKEN_LENGTH_MIN)
    return AccessKey(
        name=entry.name,
        roles=roles,
        digest=resolved_digest(closed, environment, place, TOKEN_LENGTH_MIN),
        expires_us=expiry_us(entry.expires, place),
        requests_per_second=entry.requests_per_second,
    )
