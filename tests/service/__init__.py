"""The gateway over real HTTP, against a real Redis-protocol server; the workers' part is played by hand through the bus."""
