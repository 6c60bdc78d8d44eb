"""The methods by name: each is `start` and `step` of one file. It knows none of their mathematics."""

from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from typing import Any

from . import best_of_n, demon, pf_ode
from .asks import Ask
from .params import Params
from .state import State


@dataclass(frozen=True)
class Method:
    """`start(params)` makes the first State; `step(state, params)` is run until `done`; then `state.x` [1, c, h, w] is the result."""

    start: Callable[[Params], State]
    step: Callable[[State, Params], Coroutine[Ask[Any], Any, State]]

    @staticmethod
    def done(state: State, params: Params) -> bool:
        """Whether the last step is behind us."""
        return state.i >= params.steps

    async def run(self, params: Params) -> State:
        """All steps in one go, for tests, notebooks and the baseline; a job takes them one by one to save each."""
        state = self.start(params)
        while not self.done(state, params):
            state = await self.step(state, params)
        return state


METHODS: dict[str, Method] = {
    "demon": Method(demon.start, demon.step),
    "pf_ode": Method(pf_ode.start, pf_ode.step),
    "best_of_n": Method(best_of_n.start, best_of_n.step),
}
