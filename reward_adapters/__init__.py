"""Judges: one file each, found by name through entry points. They know pictures, texts and verdicts; no Redis, job or sampler."""
