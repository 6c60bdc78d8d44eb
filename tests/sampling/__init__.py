"""The samplers against closed forms, hand-worked examples and properties."""
