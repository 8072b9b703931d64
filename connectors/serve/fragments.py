"""The context of one fragment alone: what a reader gets to whom the way to the customer is not sure enough.

It is joined from the fragment's own events, as if nobody had ever linked its identifier to another.
"""

from typing import Any, NamedTuple

import msgspec

from connectors.serve.layout import record_row_key
from schemas.document import ContextDocument, encode_document
from schemas.identifiers import Identifier
from schemas.identity_policy import Grade
from schemas.roles import HOME
from state.context.document import show
from state.context.rows import RECORDS
from state.engine import Rows
from state.join import JoinRules, Part, join

_NOBODY = ""


class AnsweredContext(ContextDocument, kw_only=True):
    """A context as an identifier leads to it: without the customer's id where the way there is not sure enough."""

    customer: str | msgspec.UnsetType = msgspec.UNSET  # type: ignore[assignment] # Weaker on purpose, for descriptions.


class Alone(NamedTuple):
    """A fragment's own context: a document without `customer`, its version 0 as it was never published."""

    encoded: bytes
    grade: Grade
    level: str


class FragmentContexts:
    """Makes contexts of single fragments from their records."""

    def __init__(self, rows: Rows, rules: JoinRules) -> None:
        self._rows = rows
        self._rules = rules

    def alone(self, fragment: str, identifier: Identifier) -> Alone | None:
        """The fragment's own context, or None where no event was routed by its identifier."""
        encoded = self._rows.get(record_row_key(fragment))
        if encoded is None:
            return None
        content = RECORDS.decode(encoded).content
        grade = Grade(content.grade or Grade.CLAIMED)
        document = show(_NOBODY, join(Part(identifier, HOME, grade, None, None, content), (), self._rules))
        if document is None:
            return None
        fields: dict[str, Any] = msgspec.json.decode(encode_document(document))
        del fields["customer"]
        return Alone(msgspec.json.encode(fields), grade, document.identity.level)
