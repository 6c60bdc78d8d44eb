"""The models a worker can serve: one file per family behind one protocol. They know no job, no sampler and no Redis."""

from .base import Condition, Model
from .registry import load_models

__all__ = ["Condition", "Model", "load_models"]
