"""The shipped weights, and how to read them: a small text-to-image model and the network of the `local` judge.

It knows torch, diffusers and transformers (imported when something is loaded), and nothing of ours.
"""

from pathlib import Path

WEIGHTS = Path(__file__).parent / "weights"

__all__ = ["WEIGHTS"]
