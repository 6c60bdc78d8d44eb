"""The processes that do the work: sampling, models, engine, GPU worker and judge worker. They know the bus, not HTTP."""
