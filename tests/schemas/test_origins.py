"""Origins as browsers write them."""

import pytest

from schemas.origins import is_origin


@pytest.mark.parametrize(
    ("text", "good"),
    [
        ("*", False),
        ("https://shop.example", True),
        ("http://localhost:3000", True),
        ("http://[::1]:3000", True),
        ("https://shop.example/", False),
        ("https://Shop.example", False),
        ("shop.example", False),
        ("https://*.shop.example", False),
        ("null", False),
    ],
)
def test_origins_are_written_as_browsers_do(text: str, good: bool) -> None:
    assert is_origin(text) is good
