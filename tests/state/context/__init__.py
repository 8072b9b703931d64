"""Tests of the engine behind agents/context."""
