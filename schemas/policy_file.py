"""Reads `identity.yaml`: what it leaves out is as in the default policy; what it gets wrong stops the start."""

from pathlib import Path
from typing import Annotated, Literal

import msgspec

from schemas.errors import SettingError
from schemas.identity_policy import CLUSTER_IDENTIFIERS_MAX, DEFAULT_POLICY, Kind, Normaliser, Policy, Strength
from schemas.yaml_files import decode_yaml, read_yaml_file


class _KindEntry(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    name: str
    strength: Literal["identifying", "medium", "weak", "none"]
    normaliser: Normaliser = Normaliser.TRIM
    unique: bool = False
    shared_from: int = 0
    namespaced: bool = False
    enabled: bool = True
    group: bool = False
    hidden: bool = False
    claimed_from: int = 0

    def kind(self) -> Kind:
        """The kind, its strength in our terms."""
        fields = msgspec.structs.asdict(self)
        return Kind(**(fields | {"strength": Strength[self.strength.upper()]}))


class _PolicyFile(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    kinds: list[_KindEntry] | None = None
    drop: list[str] | None = None
    unlinkable: list[str] = []
    phone_region: str = ""
    cluster_limit: Annotated[int, msgspec.Meta(ge=2)] = CLUSTER_IDENTIFIERS_MAX


def load_policy(path: Path) -> Policy:
    """The policy in a YAML file.

    Raises:
        SettingError: the file can't be read, or has an unknown key or a wrong value; the message says which.
    """
    read = decode_yaml(read_yaml_file(path), _PolicyFile, str(path), {".kinds": _KindEntry})
    kinds = DEFAULT_POLICY.kinds if read.kinds is None else tuple(entry.kind() for entry in read.kinds)
    names = [kind.name for kind in kinds]
    if len(set(names)) != len(names):
        raise SettingError(f"{path}: a kind is named twice")
    strengths = [kind.strength for kind in kinds]
    if strengths != sorted(strengths, reverse=True):
        raise SettingError(f"{path}: kinds stand in the order of their strength: identifying, medium, weak, none")
    return Policy(
        kinds=kinds,
        drop=DEFAULT_POLICY.drop if read.drop is None else tuple(read.drop),
        unlinkable=tuple(read.unlinkable),
        phone_region=read.phone_region,
        cluster_limit=read.cluster_limit,
    )
