"""A reward model as a judge: reads its weights at the first ask, then measures pictures batch by batch. It knows no network by name."""

import asyncio
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Protocol

import numpy as np

from contracts.errors import JudgeError, JudgeUnavailable
from contracts.judging import JudgeAsk, JudgeCard, Verdict

from ..base import decode
from ..memory import is_out_of_memory
from .loading import misconfigured
from .settings import RewardSettings, prefix_of

if TYPE_CHECKING:
    from torch import Tensor

    Measure = Callable[[Tensor], Tensor]  # pictures [n, 3, h, w] of bytes, on the network's device -> scores [n]


class Network(Protocol):
    """Weights on a device."""

    def measure(self, prompt: str) -> "Measure":
        """How pictures are measured for this prompt, which is read once for all of them."""


class RewardJudge:
    """A scoring judge around one network. The network is loaded once, by whoever asks first, and works for one ask at a time."""

    def __init__(self, card: JudgeCard, settings: RewardSettings, load: Callable[[], Network]) -> None:
        self.card = card
        self.settings = settings
        self.fingerprint = settings.fingerprint
        self.batch_size = settings.batch_size  # smaller once the device had no room
        self._load = load
        self._network: Network | None = None
        self._guard = threading.Lock()
        # Of its own: whoever waits for weights to be fetched would fill the threads that all judges share, given up or not.
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix=card.name)

    async def score(self, ask: JudgeAsk, pictures: Sequence[bytes]) -> Verdict:
        """The network's scores for the prompt, the scenario apart.

        Raises JudgeError for pictures that cannot be read, JudgeMisconfigured for weights that cannot, and JudgeUnavailable where
        the device has no room.
        """
        working = asyncio.get_running_loop().run_in_executor(self._thread, self._score, ask.prompt, pictures)
        return Verdict(scores=await working)

    async def close(self) -> None:
        """Forget the asks that nobody has begun with."""
        self._thread.shutdown(wait=False, cancel_futures=True)

    def _score(self, prompt: str, pictures: Sequence[bytes]) -> tuple[float, ...]:
        different = list(dict.fromkeys(pictures))  # equal pictures are measured once: no rounding tells them apart
        of = dict(zip(different, self.measure(prompt, stacked(different)), strict=True))
        return tuple(of[picture] for picture in pictures)

    def measure(self, prompt: str, pictures: "Tensor") -> list[float]:
        """The scores of pictures [n, 3, h, w] of bytes, wherever they lie: for whoever has them as tensors. Raises as `score`."""
        import torch  # noqa: PLC0415 - takes seconds

        try:
            with self._guard, torch.inference_mode():
                return self._in_batches(self._loaded().measure(prompt), pictures)
        except RuntimeError as error:
            if not is_out_of_memory(error):
                raise
        name = self.card.name
        raise JudgeUnavailable(
            f"the device of the judge {name!r} has no memory for its network and one picture: free some, or set "
            f"{prefix_of(name)}DTYPE to bfloat16"
        )

    def _loaded(self) -> Network:
        if self._network is None:
            with misconfigured(self.card.name, f"{prefix_of(self.card.name)}MODEL"):
                self._network = self._load()
        return self._network

    def _in_batches(self, measure: "Measure", pictures: "Tensor") -> list[float]:
        """The scores of all of them; where the device has no room for a batch, it gets half, now and from now on."""
        scores: list[float] = []
        while len(scores) < len(pictures):
            batch = pictures[len(scores) : len(scores) + self.batch_size]
            try:
                scores += measure(batch.to(self.settings.device)).tolist()
            except RuntimeError as error:
                if not is_out_of_memory(error) or len(batch) == 1:
                    raise
                self.batch_size = len(batch) // 2
        return scores


def reward_judge(
    name: str, description: str, objective: str, settings: RewardSettings, load: Callable[[], Network]
) -> RewardJudge:
    """The judge of this name. It wants its pictures as drawn: each network has its own way to make them smaller."""
    card = JudgeCard(
        name=name,
        kind="scoring",
        description=description,
        objective=objective,
        encoding="png",
        seconds_per_ask=settings.seconds_per_ask,
    )
    return RewardJudge(card, settings, load)


def stacked(pictures: Sequence[bytes]) -> "Tensor":
    """Encoded pictures of one size as bytes [n, 3, h, w]. Raises JudgeError for others."""
    import torch  # noqa: PLC0415

    pixels = [np.asarray(decode(picture)) for picture in pictures]
    if len({one.shape for one in pixels}) > 1:
        raise JudgeError("the pictures of one ask differ in size: all candidates of a job have one size")
    return torch.from_numpy(np.stack(pixels)).permute(0, 3, 1, 2)
