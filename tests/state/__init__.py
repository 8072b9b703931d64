"""Tests of pure state."""
