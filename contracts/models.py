"""What a GPU worker publishes of a model: sizes, noise range, defaults, cost. It knows no network."""

from pydantic import Field

from ._base import Contract


class ModelCard(Contract):
    """A text-to-image model that some worker serves."""

    name: str
    family: str = Field(description="embedded, toy, stable_diffusion, …")
    description: str
    width: int = Field(description="Default width in pixels.")
    height: int = Field(description="Default height in pixels.")
    min_size: int
    max_size: int
    size_multiple: int = Field(description="Width and height must be multiples of this.")
    sigma_min: float
    sigma_max: float
    guidance: float = Field(description="Default classifier-free guidance scale.")
    max_prompt_tokens: int | None = None
    consistency_guidance: float | None = Field(
        None,
        description="Beside it there is a consistency network, which leaps to the picture in one unguided call: for the look-ahead of "
        "jobs with this guidance scale, which it has built in, and without a negative prompt.",
    )
    seconds_per_row: float = Field(
        0.0, ge=0.0, description="One row through the network, measured at warm-up; for estimates."
    )
    device: str = "cpu"

    def leaps(self, guidance: float | None, negative_prompt: str) -> bool:
        """Whether its consistency network ends where the guided denoiser of such a job would. `guidance` None: the model's own."""
        asked = self.guidance if guidance is None else guidance
        return self.consistency_guidance == asked and not negative_prompt
