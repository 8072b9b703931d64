"""Explanations over the lookup's copy."""
