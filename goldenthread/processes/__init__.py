"""The processes: worker, collect and lookup, each put together from the settings and run until it is told to stop."""
