"""The job on Quix Streams: a StreamingDataFrame with state. The README says by which documentation it is tuned."""
