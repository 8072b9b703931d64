"""How fast identity is, tried small."""
