"""Letters of other scripts that look like ASCII ones, with which an identifier pretends to be another.

Judged word by word, a word being a run of letters and digits: a word that becomes ASCII throughout once its look-alikes
are read as what they look like is taken for that. A word of another script with letters of its own (most words of any
language) is left as it is. So is one that mixes scripts and still has such letters, unless it is to be dropped.

The table has the letters that common typefaces draw as ASCII ones; beside them count all that Unicode calls another
form of an ASCII letter or digit (full width, mathematical).
"""

import re
import unicodedata
from typing import Final

_CYRILLIC: Final = dict(zip("аеорсухіјѕԁԛԝһӏАВЕЅІЈКМНОРСТУХԌԚԜ", "aeopcyxijsdqwhlABESIJKMHOPCTYXGQW", strict=True))
_GREEK: Final = dict(zip("αικνορυϲϳΑΒΕΖΗΙΚΜΝΟΡΤΥΧ", "aikvopucjABEZHIKMNOPTYX", strict=True))
_ARMENIAN: Final = dict(zip("հոսցՕՍՏ", "hnuoOUS", strict=True))  # noqa: RUF001 (look-alikes)
_LATIN: Final = dict(zip("ıɑɡ", "iag", strict=True))  # noqa: RUF001 (look-alikes)
_LOOK_ALIKES: Final = _CYRILLIC | _GREEK | _ARMENIAN | _LATIN
#: Scripts that nobody mixes within a word. (Japanese mixes three, and these with Latin letters.)
_SCRIPTS: Final = ("LATIN", "CYRILLIC", "GREEK", "ARMENIAN", "CHEROKEE", "COPTIC")

_WORD: Final = re.compile(r"[^\W_]+")


def fold_look_alikes(text: str) -> str:
    """The text with each word that looks like an ASCII one as that."""
    return text if text.isascii() else _WORD.sub(lambda word: _folded(word.group()), text)


def has_look_alikes(text: str) -> bool:
    """Whether a word of the text looks like an ASCII one and is none, or mixes scripts."""
    if text.isascii():
        return False
    return any(word != _folded(word) or _mixes(word) for word in _WORD.findall(text))


def _folded(word: str) -> str:
    if word.isascii():
        return word
    folded = "".join(map(_looks_like, word))
    return folded if folded.isascii() else word


def _looks_like(letter: str) -> str:
    found = _LOOK_ALIKES.get(letter)
    if found is not None or letter.isascii():
        return found or letter
    other_form = unicodedata.normalize("NFKC", letter)
    return other_form if other_form.isascii() and other_form.isalnum() else letter


def _mixes(word: str) -> bool:
    scripts = {unicodedata.name(letter, "").partition(" ")[0] for letter in word if letter.isalpha()}
    return len(scripts.intersection(_SCRIPTS)) > 1
