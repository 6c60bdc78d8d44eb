"""What crosses a process border, as pydantic models: jobs, samplers, asks and verdicts, cards, events, errors.

It knows nothing of Redis, HTTP, torch or any process; every other package may import it.
"""
