"""Tests of the reward models, on tiny checkpoints with random weights in the originals' names and layouts."""
