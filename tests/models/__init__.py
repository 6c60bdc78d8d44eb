"""Tests of the models that a worker serves."""
