"""The library, built where there is a compiler."""

import pytest

from state.native.building import build
from state.native.loading import Library, load


@pytest.fixture(scope="session")
def library() -> Library:
    """The library of these sources."""
    said = build()
    library = load()
    if library is None:
        pytest.skip(said)
    return library
