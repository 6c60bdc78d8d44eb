"""The command line as users meet it: help, sentences, exit codes; and the set-up script. The service itself is in tests/stack."""
