"""Tests of the judges and their registry."""
