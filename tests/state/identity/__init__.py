"""Tests of the partition, its incremental twin, the rows and the engine."""
