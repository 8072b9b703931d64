"""The job on plain Faust: an agent and a table on RocksDB. The README says by which documentation it is tuned."""
