"""Publishing again what another policy shows otherwise: levels, and identifiers that belong to nobody.

Documents are made under the policy in force. When another one shows them otherwise, each partition publishes them again
once, before it takes in anything else: a bounded number of customers at a time, and only documents that differ. It
keeps the policy under which it has done so; without that row its documents are of the installation's first policy.
"""

from itertools import islice
from typing import Final

import msgspec

from schemas.identity_policy import Policy
from schemas.policy_parts import decode_policy, encode_policy, shown_part
from schemas.rows import fragment_of, is_record_key
from schemas.topics import RESERVED_KEY_PREFIX
from state.engine import Rows
from state.join import JoinRules

#: The row, in `context.state`, of the policy that a partition's documents show, where it is not the first one.
SHOWN_POLICY_KEY: Final = RESERVED_KEY_PREFIX + b"policy"
#: Customers that are published again in one transaction, at the most.
CUSTOMERS_PER_STEP: Final = 500


class Regoverning:
    """What a partition has still to publish again.

    Args:
        rows: the committed rows.
        rules: how documents are made now.
        first: the installation's first policy; that of the rules where nothing is said.
    """

    def __init__(self, rows: Rows, rules: JoinRules, first: Policy | None) -> None:
        first = first or rules.policy
        kept = rows.get(SHOWN_POLICY_KEY)
        shown = first if kept is None else decode_policy(kept)
        self._due = shown_part(shown) != shown_part(rules.policy)
        self._fragments = (fragment_of(key) for key, _ in rows.scan(b"") if is_record_key(key))
        # Without a row it is the first one.
        is_first = shown_part(rules.policy) == shown_part(first)
        self._done = {SHOWN_POLICY_KEY: None if is_first else encode_policy(rules.policy)}
        #: How the documents that stand were made; None where they need not be made again.
        self.before: JoinRules | None = msgspec.structs.replace(rules, policy=shown) if self._due else None

    def step(self) -> tuple[list[str], dict[bytes, bytes | None]]:
        """The next fragments to look at, and the row that says that it is done, with the last of them."""
        if not self._due:
            self.before = None
            return [], {}
        part = list(islice(self._fragments, CUSTOMERS_PER_STEP))
        self._due = len(part) == CUSTOMERS_PER_STEP
        return part, {} if self._due else dict(self._done)
