"""Dollars for tokens: the table of prices, and what a provider tells of a call made good. It knows models by name, and no protocol."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import structlog
from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

from contracts.judging import CallCost, JudgeUsage, Tokens

from ..base import Environment, JudgeSetupError

PRICES = "MAXWELL_JUDGE_PRICES"
MILLION = 1_000_000
ALARM = 5  # times the expected tokens: an endpoint that counts pictures as text bills them a hundredfold

log = structlog.get_logger()


class Price(BaseModel):
    """Dollars for a million tokens of a model. Cached input is not told apart: our requests share no beginning long enough."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    input: float = Field(ge=0, allow_inf_nan=False)
    output: float = Field(ge=0, allow_inf_nan=False, description="Thinking included.")

    def of(self, tokens: Tokens) -> float:
        """Dollars for so many tokens."""
        return (tokens.input * self.input + tokens.output * self.output) / MILLION


_table: TypeAdapter[dict[str, Price]] = TypeAdapter(dict[str, Price])


def read_prices(environment: Environment) -> dict[str, Price]:
    """The operator's own prices by model name: JSON, or the path of a file that holds it. Raises JudgeSetupError."""
    said = environment.get(PRICES, "").strip()
    if not said:
        return {}
    usual = (
        'write {"model": {"input": 0.75, "output": 4.5}}, dollars per million tokens, or the path of a file with that'
    )
    if not said.startswith("{"):
        try:
            said = Path(said).read_text(encoding="utf-8")
        except (OSError, ValueError) as error:
            raise JudgeSetupError(f"{PRICES} cannot be read ({type(error).__name__}): {usual}.") from error
    try:
        return _table.validate_json(said)
    except ValidationError as error:
        first = error.errors(include_input=False, include_url=False, include_context=False)[0]
        place = "".join(f"{one!r}: " for one in first["loc"])
        raise JudgeSetupError(f"{PRICES} holds no prices: {place}{first['msg']}: {usual}.") from None


def price_of(model: str, prices: Mapping[str, Price], address: str | None) -> Price | None:
    """The model's price: the operator's own, else that of the package genai-prices for the provider at this address, else none.

    That package's table is third-party data as of its release; it comes with it, nothing is fetched.
    """
    return prices.get(model) or _listed(model, address)


def _listed(model: str, address: str | None) -> Price | None:
    if address is None:
        return None
    try:
        import genai_prices  # noqa: PLC0415 - 0.3 s and 25 MB, and only for who has set up a judge
    except ImportError:
        return None
    # Some prices rise beyond a size of request that no ask reaches: a thousand tokens are below all of those.
    sample = genai_prices.Usage(input_tokens=1000, output_tokens=1000)
    try:
        found = genai_prices.calc_price(sample, model, provider_api_url=address)
    except LookupError:
        return None
    return Price(input=float(found.input_price) * 1000, output=float(found.output_price) * 1000)


@dataclass
class Rates:
    """The price of a judge's model, and what its provider tells of calls made good: estimated where missing, in dollars."""

    judge: str = ""
    price: Price | None = None
    _alarmed: bool = False

    def call(self, text: int, answer: int, picture: int = 0, sheet: int = 0) -> CallCost:
        """What one call takes with so many tokens of text, of its answer, of each picture shown and of a sheet that holds them all."""
        tokens = Tokens(input=text + sheet, output=answer, image=sheet)
        usd = None if self.price is None else self.price.of(tokens)
        usd_per_picture = 0.0 if self.price is None else self.price.of(Tokens(input=picture))
        return CallCost(tokens=tokens, tokens_per_picture=picture, usd=usd, usd_per_picture=usd_per_picture)

    def priced(self, told: JudgeUsage) -> JudgeUsage:
        """With what the tokens that were told cost."""
        return told.model_copy(update={"usd": None if self.price is None else self.price.of(told.tokens)})

    def of_reply(self, told: JudgeUsage, expected: JudgeUsage) -> JudgeUsage:
        """What an answered call took, priced. What was not told is taken from the estimate; far more than that is cause for an alarm."""
        said = told.tokens
        if not (said.input or said.output):
            return expected
        usual = expected.tokens
        billed = said.input or usual.input
        # Nobody tells how many of them are the pictures': then the share that was expected, for the texts had theirs too.
        image = said.image or round(billed * usual.image / max(1, usual.input))
        tokens = Tokens(input=billed, output=said.output or usual.output, image=image)
        if said.input > ALARM * usual.input and not self._alarmed:
            self._alarmed = True
            log.warning(
                "the model bills far more tokens than expected: does its server count pictures as text? said once",
                judge=self.judge, billed=said.input, expected=usual.input,
            )  # fmt: skip
        estimated = not (said.input and said.output)
        return self.priced(told.model_copy(update={"tokens": tokens, "estimated": estimated}))
