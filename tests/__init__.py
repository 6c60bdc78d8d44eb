"""The tests: real processes, a real Redis-protocol server, closed forms. They know every package."""
