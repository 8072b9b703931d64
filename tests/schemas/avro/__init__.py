"""Tests of Avro."""
