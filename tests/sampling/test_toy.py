"""The model `toy` draws what its prompt names: discs of that colour by the plain ODE, any colour without one."""

import pytest
import torch
from torch import Tensor

from contracts.errors import ModelUnavailable, RequestRefused
from workers.models.toy import COLOURS, Toy
from workers.sampling import Params
from workers.sampling.schedules import karras

from .world import World

TOY = Toy()


def drawn(prompt: str, seed: int) -> Tensor:
    """The picture [3, 32, 32] in 0..1 of this prompt."""
    condition = TOY.encode(prompt, "")

    def denoise(x: Tensor, sigma: Tensor) -> Tensor:
        return TOY.denoise(x, sigma, [condition] * len(x), torch.ones(len(x)), "denoiser")

    sigmas = karras(10, TOY.card.sigma_min, TOY.card.sigma_max)
    p = Params(sigmas, TOY.latent_shape(32, 32), seed=seed, solver="dpmpp_2m")
    return TOY.decode(World(denoise).run("pf_ode", p).x, preview=False)[0]


def colour_of(picture: Tensor) -> str:
    """The named colour nearest to the middle of the disc."""
    middle = picture[:, 13:19, 13:19].mean((1, 2))
    return min(COLOURS, key=lambda name: float((middle - torch.tensor(COLOURS[name])).norm()))


@pytest.mark.parametrize("colour", COLOURS)
def test_a_prompt_that_names_a_colour_gives_a_disc_of_it(colour: str) -> None:
    picture = drawn(f"A {colour.capitalize()} disc", seed=3)
    assert picture.shape == (3, 32, 32)
    assert picture.dtype == torch.float32
    assert float(picture.min()) >= 0
    assert float(picture.max()) <= 1
    assert colour_of(picture) == colour
    middle = picture[:, 13:19, 13:19].mean((1, 2))
    assert float((middle - torch.tensor(COLOURS[colour])).norm()) < 0.15
    corner = picture[:, :3, :3].mean((1, 2))
    assert float((middle - corner).norm()) > 0.2, "there is a ground around it"


def test_two_names_leave_the_choice_to_the_noise() -> None:
    assert {colour_of(drawn("a red or blue disc", seed)) for seed in range(8)} == {"red", "blue"}


def test_no_name_leaves_all_colours() -> None:
    assert len({colour_of(drawn("a disc", seed)) for seed in range(8)}) >= 3


def test_rows_do_not_depend_on_their_company() -> None:
    conditions = [TOY.encode(prompt, "a green disc") for prompt in ("red", "blue", "anything")]
    x = torch.randn(3, 3, 32, 32, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    sigma, scale = torch.tensor([0.1, 1.0, 10.0]).double(), torch.tensor([1.0, 3.0, 7.5])
    together = TOY.denoise(x, sigma, conditions, scale, "denoiser")
    for k in range(3):
        alone = TOY.denoise(x[k : k + 1], sigma[k : k + 1], [conditions[k]], scale[k : k + 1], "denoiser")
        assert torch.equal(together[k], alone[0])


def test_what_toy_cannot_do_it_says() -> None:
    with pytest.raises(RequestRefused, match="32 x 32"):
        TOY.latent_shape(64, 32)
    x = torch.zeros(1, 3, 32, 32, dtype=torch.float64)
    with pytest.raises(ModelUnavailable, match="consistency"):
        TOY.denoise(x, torch.ones(1).double(), [TOY.encode("red", "")], torch.ones(1), "consistency")
