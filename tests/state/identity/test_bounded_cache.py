"""The bounded cache forgets what was used longest ago, by weight."""

from state.identity.bounded_cache import BoundedCache


def test_what_was_used_longest_ago_goes_first() -> None:
    cache: BoundedCache[str, int] = BoundedCache(2)
    cache.put("a", 1)
    cache.put("b", 2)
    assert cache.get("a") == 1
    cache.put("c", 3)
    assert (cache.get("a"), cache.get("b"), cache.get("c")) == (1, None, 3)


def test_values_count_by_their_weight_and_one_that_grew_is_weighed_again() -> None:
    cache: BoundedCache[str, list[int]] = BoundedCache(5, len)
    grown = [1]
    cache.put("a", [1, 2])
    cache.put("b", grown)
    grown += [2, 3, 4]
    cache.put("b", grown)
    assert (cache.get("a"), cache.get("b")) == (None, [1, 2, 3, 4])
    cache.discard("b")
    cache.put("c", [1, 2, 3, 4, 5])
    assert cache.get("c") == [1, 2, 3, 4, 5]
    cache.put("d", [0] * 6)
    assert (cache.get("c"), cache.get("d")) == (None, None)
