"""Tests of the drill: what it does, and that its verdict can be bad."""
