"""How much of what makes identity hard there is: design values, which vary from seed to seed."""

import random
from dataclasses import dataclass, fields, replace
from typing import Final

# Each share is drawn anew for a seed, between these multiples of its value.
_VARIES: Final = (0.7, 1.3)


@dataclass(frozen=True, slots=True)
class Shares:
    """Shares from 0 to 1: of persons, then of events."""

    # Of persons.
    family_email: float = 0.05
    landline: float = 0.15
    shared_device: float = 0.25
    changed_email: float = 0.08
    recycled_number: float = 0.03
    two_records: float = 0.08
    business: float = 0.10
    two_brands: float = 0.15
    same_name: float = 0.10
    # Of all events.
    kiosk: float = 0.02
    mistyped: float = 0.03
    tests: float = 0.003
    forged: float = 0.002
    late: float = 0.05
    duplicates: float = 0.05
    # Of calls.
    own_number: float = 0.08
    withheld: float = 0.08
    # Of sales in a store.
    dummy_crm: float = 0.04

    @classmethod
    def of_seed(cls, seed: int) -> "Shares":
        """The shares of one seed."""
        dice = random.Random(f"identity/shares/{seed}")
        design = cls()
        return replace(
            design, **{each.name: getattr(design, each.name) * dice.uniform(*_VARIES) for each in fields(cls)}
        )


#: Those that are said of persons; the others are said of events.
OF_PERSONS: Final = (
    "family_email",
    "landline",
    "shared_device",
    "changed_email",
    "recycled_number",
    "two_records",
    "business",
    "two_brands",
    "same_name",
)
OF_EVENTS: Final = ("kiosk", "mistyped", "mistyped_real", "own_number", "withheld", "dummy_crm", "tests", "forged")
