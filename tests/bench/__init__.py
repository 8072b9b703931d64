"""Tests of `bench`: the generator, the oracle, and the comparison of the two."""
