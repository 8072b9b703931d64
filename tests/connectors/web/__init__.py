"""Tests of what HTTP services share."""
