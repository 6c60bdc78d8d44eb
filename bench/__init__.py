"""Measurements of the running service, as ratios and breakdowns of one run. They know how to ask it; nothing imports them."""
