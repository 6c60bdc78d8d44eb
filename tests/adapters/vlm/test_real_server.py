"""A server that is not ours, of the protocol that `local-vlm` speaks: `transformers serve`, with a tiny model of random weights.

Such a model says nothing sensible, and this server forces no form: what is proved is that it takes our requests with their pictures,
and that we read what it answers.
"""

import socket
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from contracts.errors import JudgeMalformed
from contracts.judging import JudgeFailure
from reward_adapters.vlm.openai import LOCAL
from workers.judging import Bench

from ...conftest import wait_until
from ..pictures import ask
from .asking import built, reds
from .tiny_vlm import tiny_vlm

LEVELS = (10, 200, 30, 150)


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, Path]]:
    """The server's URL, and the model that it serves. In a thread of this process: torch need not be imported once more."""
    from transformers.cli.serve import Serve  # noqa: PLC0415 - takes seconds

    model = tiny_vlm(tmp_path_factory.mktemp("served"), "idefics3")
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    server = Serve(force_model=str(model), device="cpu", host="127.0.0.1", port=port, non_blocking=True)
    try:
        yield f"http://127.0.0.1:{port}", model
    finally:
        server.kill_server()


async def is_up(url: str) -> bool:
    """Whether it answers."""
    async with httpx.AsyncClient() as client:
        try:
            return (await client.get(f"{url}/health")).status_code == 200
        except httpx.ConnectError:
            return False


@pytest.mark.parametrize("schema_mode", ["prompt", "json_schema"])
async def test_transformers_serve_takes_our_pictures_and_we_read_its_answer(
    served: tuple[str, Path], schema_mode: str
) -> None:
    url, model = served
    await wait_until(lambda: is_up(url), "transformers serve answers", 60)
    told = {"BASE_URL": f"{url}/v1", "MODEL": str(model), "SCHEMA_MODE": schema_mode, "MAX_TOKENS": "50"}
    async with built("local-vlm", {LOCAL + name: value for name, value in told.items()}) as judge:
        with pytest.raises(JudgeMalformed, match=r"no JSON object with .*cut off at its limit of tokens") as raised:
            await judge.score(ask(judge.card, 4), reds(*LEVELS))
        answer = await Bench({"local-vlm": judge}).answer(ask(judge.card, 4), reds(*LEVELS))
    assert (raised.value.usage.calls, raised.value.usage.tokens.output, raised.value.usage.estimated) == (1, 50, False)
    assert raised.value.usage.tokens.input > 4 * 4  # text, and 2 x 2 tokens a picture
    assert isinstance(answer, JudgeFailure)
    assert answer.code == "judge_malformed"


async def test_a_model_that_it_does_not_serve_is_an_error_with_the_fix(served: tuple[str, Path]) -> None:
    url, _ = served
    await wait_until(lambda: is_up(url), "transformers serve answers", 60)
    told = {"BASE_URL": f"{url}/v1", "MODEL": "nobody/knows"}
    async with built("local-vlm", {LOCAL + name: value for name, value in told.items()}) as judge:
        answer = await Bench({"local-vlm": judge}).answer(ask(judge.card, 4), reds(*LEVELS))
    assert isinstance(answer, JudgeFailure)
    assert answer.code == "judge_misconfigured"
