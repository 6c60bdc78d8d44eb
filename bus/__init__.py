"""Redis and nothing else: jobs, the queue, asks and verdicts, events, cards. It knows no HTTP, no model and no judge."""
