"""Tests of the judge `http`. It knows nothing."""
