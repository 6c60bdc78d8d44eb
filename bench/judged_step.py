"""What one judged step takes of our processor: 16 pictures of 512 px from tensors to a verdict, over HTTP, the provider apart.

python -m bench.judged_step
"""

import asyncio
import statistics
from time import process_time

import torch
from torch import Tensor
from torch.nn import functional

from contracts.judging import Verdict
from reward_adapters import registry
from reward_adapters.base import Judge
from tests.adapters.pictures import ask
from tests.conformance.provider import KEY
from workers.pictures import encode_for

from .provider import JUDGE, provider

PICTURES, SIZE, ROUNDS = 16, 512, 30


def main() -> None:
    """Print the medians in milliseconds."""
    torch.set_num_threads(1)
    with provider(0.0) as url:
        settings = {"MODEL": "truthful", "API_KEY": KEY, "BASE_URL": url}
        judge = registry.build(JUDGE, {f"MAXWELL_JUDGE_OPENAI_{name}": value for name, value in settings.items()})
        encoding, judging, size = asyncio.run(_measured(judge, _pictures()))
    print(f"{PICTURES} pictures of {SIZE} px, JPEGs of {size / 1024:.0f} KB, one core, medians of {ROUNDS}:")
    print(
        f"  tensors to JPEG {encoding:.1f} ms, shown, sent, answered and checked {judging:.1f} ms, both {encoding + judging:.1f} ms"
    )


async def _measured(judge: Judge, pictures: Tensor) -> tuple[float, float, float]:
    """Milliseconds of encoding and of judging, and the bytes of a picture. The first round is not counted."""
    encoding, judging, size = [], [], 0.0
    for number in range(ROUNDS + 1):
        began = process_time()
        sent = encode_for(judge.card, pictures)
        encoded = process_time()
        verdict = await judge.score(ask(judge.card, PICTURES, seed=number), sent)
        judged = process_time()
        assert isinstance(verdict, Verdict)
        assert verdict.scores.count(5.0) == PICTURES // 2
        size = sum(map(len, sent)) / PICTURES
        if number:
            encoding.append(1000 * (encoded - began))
            judging.append(1000 * (judged - encoded))
    return statistics.median(encoding), statistics.median(judging), size


def _pictures() -> Tensor:
    """Smooth patterns with some grain [16, 3, 512, 512], which make JPEGs as large as photographs."""
    chance = torch.Generator().manual_seed(0)
    coarse = torch.rand(PICTURES, 3, 40, 40, generator=chance)
    smooth = functional.interpolate(coarse, size=(SIZE, SIZE), mode="bicubic")
    return (smooth + 0.02 * torch.randn(smooth.shape, generator=chance)).clamp(0, 1)


if __name__ == "__main__":
    main()
