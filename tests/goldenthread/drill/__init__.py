"""Tests of the drilled installation and its command."""
