"""Tests of what goes into Kafka."""
