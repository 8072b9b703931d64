"""Explanations of the partition."""
