"""Tests of the engine: the plan, the thread, its forwards, and what a model costs."""
