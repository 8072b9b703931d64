"""A context for readers who want no trait that is known less well than the identifier which they asked by has to be.

Traits whose grade counts (contact points, and what else is configured as trusted) say their grade; all others are as
good as the customer's other facts.
"""

from typing import Final

import msgspec

from schemas.document import ContextDocument, Trait, encode_document
from schemas.identity_policy import Grade

_DOCUMENT: Final = msgspec.json.Decoder(ContextDocument)


def with_grade(encoded: bytes, min_grade: Grade) -> bytes:
    """The context without traits, and newer claims of traits, of a grade below; the very same bytes without any."""
    if min_grade <= Grade.CLAIMED:
        return encoded
    document = _DOCUMENT.decode(encoded)
    traits = {
        name: trait if _stands(trait.newer_claim, min_grade) else msgspec.structs.replace(trait, newer_claim=None)
        for name, trait in document.traits.items()
        if _stands(trait, min_grade)
    }
    if traits == document.traits:
        return encoded
    return encode_document(msgspec.structs.replace(document, traits=traits))


def _stands(trait: Trait | None, min_grade: Grade) -> bool:
    return trait is None or trait.grade is None or Grade.of(trait.grade) >= min_grade
