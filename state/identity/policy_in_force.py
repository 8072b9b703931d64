"""The policy in force: the row that an installation's policy is kept in, from its first start on."""

from schemas.identity_policy import Policy
from schemas.policy_parts import decode_policy, encode_policy
from schemas.rows import LINK_ROW_PREFIX, POLICY_ROW_KEY, PolicyRow, RowDecoder, encode_row
from state.engine import Rows

_ROWS = RowDecoder(PolicyRow)


def read_policy_row(rows: Rows) -> PolicyRow | None:
    """The row of the policy in force; None before the first start, and of rows that an older version wrote.

    Raises:
        StateError: a newer version wrote it, or it is damaged.
    """
    value = rows.get(POLICY_ROW_KEY)
    return None if value is None else _ROWS.decode(value)


class PolicyInForce:
    """The policy that identity decides by.

    Args:
        rows: the committed ones.
        given: what holds from now on where the rows name none.
    """

    def __init__(self, rows: Rows, given: Policy) -> None:
        found = read_policy_row(rows)
        self.row = found or PolicyRow(encode_policy(given), "", 0, "", "", 0)
        self.policy = given if found is None else decode_policy(found.policy)
        self._changed = found is None
        #: Whether the rows are of a version that kept no policy, and that obeyed `unlinkable` at intake only.
        self.upgrades = found is None and next(rows.scan(LINK_ROW_PREFIX), None) is not None

    def put(self, policy: Policy, row: PolicyRow) -> None:
        """Another one is in force from now on."""
        self.policy = policy
        self.row = row
        self._changed = True

    def drained(self) -> dict[bytes, bytes | None]:
        """The row, where it changed since the last drain."""
        if not self._changed:
            return {}
        self._changed = False
        return {POLICY_ROW_KEY: encode_row(self.row)}
