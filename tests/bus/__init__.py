"""The bus against a real server: every promise of `bus`, no fakes."""
