"""Samplers: mathematics only. They import torch and nothing of ours, and know no Redis, HTTP, asyncio or model.

A sampler is `async def step(state, params) -> state` and awaits only Denoise, Decode and Judge (`asks.py`).
"""

from .asks import Ask, Decode, Denoise, Judge, Scores, drive
from .methods import METHODS, Method
from .params import Params
from .state import State, StepReport

__all__ = ["METHODS", "Ask", "Decode", "Denoise", "Judge", "Method", "Params", "Scores", "State", "StepReport", "drive"]
