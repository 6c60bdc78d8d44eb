"""Tests of the judge worker."""
