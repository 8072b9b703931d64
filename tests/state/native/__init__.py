"""Tests of the compiled library by itself; that it gives what Python gives is tested in tests/state/context."""
