"""Tests of the shipped weights and of how they are read."""
