"""What calls take and cost: prices of the operator's table or the package's, tokens told or estimated, and no price that nobody said."""

import asyncio
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from contracts.errors import JudgeUnavailable
from contracts.judging import JudgeUsage, Tokens, Verdict
from reward_adapters.base import JudgeSetupError
from reward_adapters.bodies import count
from reward_adapters.vlm.estimating import picture_tokens
from reward_adapters.vlm.pricing import PRICES, Price, Rates, price_of, read_prices
from workers.judging import Bench

from ...conformance.provider import Provider
from ..pictures import ask
from .asking import built, environment, reds
from .priced import ASKED, TWO_AND_EIGHT, asked_of, card
from .voting import scripted, some

ROOT = Path(__file__).parents[3]
OPENAI, GOOGLE = "https://api.openai.com/v1", "https://generativelanguage.googleapis.com"
# ---- prices


def test_the_operators_prices_come_from_the_variable_or_a_file(tmp_path: Path) -> None:
    said = '{"m": {"input": 0.75, "output": 4.5}, "free/model:7b": {"input": 0, "output": 0}}'
    (tmp_path / "prices.json").write_text(said)
    expected = {"m": Price(input=0.75, output=4.5), "free/model:7b": Price(input=0, output=0)}
    assert read_prices({PRICES: f" {said} "}) == read_prices({PRICES: str(tmp_path / "prices.json")}) == expected
    assert read_prices({}) == read_prices({PRICES: " "}) == {}


@pytest.mark.parametrize(
    ("said", "words"),
    [
        ("{", "holds no prices: Invalid JSON"),
        ("/nowhere/prices.json", r"cannot be read \(FileNotFoundError\)"),
        ('{"m": 3}', "holds no prices: 'm': Input should be"),
        ('{"m": {"input": 1}}', "holds no prices: 'm': 'output': Field required"),
        ('{"m": {"input": -1, "output": 1}}', "'m': 'input': Input should be greater than or equal to 0"),
        ('{"m": {"input": 1, "output": 1, "cached": 1}}', "'m': 'cached': Extra inputs are not permitted"),
        ('{"m": {"input": NaN, "output": 1}}', "holds no prices"),
    ],
)
def test_prices_that_are_none_are_refused_with_what_to_write(said: str, words: str) -> None:
    with pytest.raises(JudgeSetupError, match=words) as raised:
        read_prices({PRICES: said})
    assert 'write {"model": {"input": 0.75, "output": 4.5}}, dollars per million tokens' in str(raised.value)


async def test_a_wrong_table_is_said_when_a_judge_is_built(provider: Provider) -> None:
    with pytest.raises(JudgeSetupError, match=f"^{PRICES} holds no prices"):
        async with built("openai", environment(provider) | {PRICES: "{}}"}):
            pass


def test_a_price_is_the_operators_then_the_packages_then_none() -> None:
    """$2.50 and $10 for gpt-4o, $0.75 and $3.75 for gemini-3.8-flash: what their makers ask, and the package's table has."""
    own = {"gpt-4o": TWO_AND_EIGHT}
    assert price_of("gpt-4o", own, OPENAI) == TWO_AND_EIGHT
    assert price_of("gpt-4o", {}, OPENAI) == Price(input=2.5, output=10)
    assert price_of("gemini-3.8-flash", own, GOOGLE) == Price(input=0.75, output=3.75)
    for model, address in (("gpt-99", OPENAI), ("truthful", OPENAI), ("gpt-4o", GOOGLE)):
        assert price_of(model, {}, address) is None


@pytest.mark.parametrize("address", ["http://127.0.0.1:8001/v1", "http://gpu-box:11434/v1", None])
def test_a_server_of_ones_own_has_no_price_whatever_its_model_is_called(address: str | None) -> None:
    assert price_of("gpt-4o", {}, address) is None
    assert price_of("m", {"m": Price(input=0, output=0)}, address) == Price(input=0, output=0), "free where said so"


def test_the_packages_table_is_looked_up_without_any_connection() -> None:
    script = (
        "import sys\n"
        "sys.addaudithook(lambda event, _: (_ for _ in ()).throw(SystemExit(event)) if event.startswith('socket.') else None)\n"
        "from reward_adapters.vlm.pricing import price_of\n"
        f"print(price_of('gpt-4o', {{}}, {OPENAI!r}).input)"
    )
    done = subprocess.run([sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, check=False)
    assert (done.stdout, done.stderr) == ("2.5\n", "")


# ---- estimates


@pytest.mark.parametrize(
    ("model", "width", "height", "fineness", "tokens"),
    [
        ("gpt-4o", 512, 512, "low", 85),
        ("gpt-4o", 512, 512, "high", 85 + 170),
        ("chatgpt-4o-latest", 1024, 1024, None, 85 + 4 * 170),
        ("gpt-4.1", 2048, 4096, "high", 85 + 6 * 170),  # OpenAI's own examples: 765 and 1105
        ("gpt-4o-mini", 512, 512, "low", 2833),
        ("gpt-4.1-mini", 512, 512, "low", 308),  # 16 x 16 patches, 1.2 each
        ("gpt-5.4-mini", 512, 512, "low", 308),
        ("gpt-6-luna", 1024, 1024, "high", 1229),
        ("gpt-6-luna", 4096, 4096, "high", 1844),  # 1536 patches at most
        ("gemini-3.8-flash", 512, 512, "low", 280),
        ("gemini-3.8-flash", 64, 2048, "MEDIA_RESOLUTION_MEDIUM", 560),
        ("gemini-3.8-flash", 512, 512, None, 1120),
        ("gemini-2.5-flash", 512, 512, "low", 64),
        ("Qwen/Qwen2.5-VL-7B-Instruct", 448, 448, None, 256),
        ("whatever", 512, 512, None, 308),
    ],
)
def test_a_picture_takes_what_its_models_family_is_known_for(
    model: str, width: int, height: int, fineness: str | None, tokens: int
) -> None:
    assert picture_tokens(model, width, height, fineness) == tokens


def test_a_card_says_what_a_call_takes_and_costs() -> None:
    plain = card().call
    text = plain.tokens.input
    assert 400 < text < 800, "our rules, a usual wish and scenario, sixteen captions: some 2000 characters"
    assert (plain.tokens, plain.tokens_per_picture) == (Tokens(input=text, output=150), 308)
    assert plain.usd == pytest.approx((text * 2 + 150 * 8) / 1e6)
    assert plain.usd_per_picture == pytest.approx(308 * 2 / 1e6)
    told = card(tokens_per_picture=100, answer_tokens=20, seconds_per_ask=7.5).cost(16)
    assert (told.calls, told.tokens) == (1, Tokens(input=text + 1600, output=20, image=1600))
    assert told.usd == pytest.approx(((text + 1600) * 2 + 20 * 8) / 1e6)
    assert (told.seconds, told.estimated) == (7.5, True)
    sheet = card(mode="grid", tokens_per_picture=100)
    assert sheet.cost(2).tokens == sheet.cost(16).tokens == Tokens(input=text + 100, output=150, image=100)
    assert card(model="gpt-4o", fineness="low").call.tokens_per_picture == 85


def test_votes_and_pairs_cost_a_call_each() -> None:
    """Two rounds of four pictures are four pairs, each asked in both orders: eight calls about two pictures."""
    assert card(votes=3).cost(4).tokens == card(votes=1).call.usage(12, 3).tokens
    pairs = card(mode="pairwise", rounds=2)
    assert (pairs.cost(4).calls, pairs.cost(4).tokens) == (8, pairs.call.usage(16, 8).tokens)


def test_a_judge_without_a_price_says_so() -> None:
    unpriced = card(price=None)
    assert (unpriced.call.usd, unpriced.cost(4).usd, unpriced.cost(4).tokens) == (None, None, card().cost(4).tokens)


# ---- what calls really took


async def test_a_call_costs_what_the_provider_tells_else_what_the_card_says(provider: Provider) -> None:
    async with asked_of(provider) as asker:
        used = await asker.usage("truthful")
        usual = asker.estimate.tokens
        expected = Tokens(input=1000, output=50, image=round(1000 * usual.image / usual.input))
        assert (used.calls, used.tokens, used.estimated) == (1, expected, False)
        assert used.usd == pytest.approx(ASKED)
        for silent in ("usage-null", "usage-odd"):
            assert await asker.usage(silent) == asker.estimate
        assert asker.estimate.estimated


async def test_what_a_server_tells_by_half_is_made_whole() -> None:
    expected = JudgeUsage(tokens=Tokens(input=900, output=150, image=400), estimated=True)
    rates = Rates("j", TWO_AND_EIGHT)
    told = rates.of_reply(JudgeUsage(tokens=Tokens(input=500)), expected)
    assert told == JudgeUsage(tokens=Tokens(input=500, output=150, image=222), estimated=True, usd=0.0022)
    told = rates.of_reply(JudgeUsage(tokens=Tokens(input=300, output=5, image=7)), expected)
    assert (told.tokens.image, told.estimated) == (7, False)
    told = rates.of_reply(JudgeUsage(tokens=Tokens(input=300, output=5)), expected)
    assert told.tokens.image == 133, "their share as expected, 4 of 9: never all, for the texts had theirs"
    assert rates.of_reply(JudgeUsage(tokens=Tokens(input=300, output=5)), JudgeUsage()).tokens.image == 0


async def test_a_call_that_came_to_no_answer_counts_and_costs_nothing_and_an_answer_that_is_none_is_paid_for(
    provider: Provider,
) -> None:
    async with asked_of(provider) as asker:
        for fault in ("500", "429-ms", "quota", "422", "hung-up", "page", "policy"):
            assert await asker.usage(fault) == JudgeUsage(calls=1, usd=0.0)
        for fault, calls in (("refusal", 1), ("no-choices", 1), ("cut", 1), ("empty", 2), ("once:empty", 2)):
            used = await asker.usage(fault)
            assert (used.calls, used.tokens.input) == (calls, 1000 * calls), fault
            assert used.usd == pytest.approx(calls * ASKED)


async def test_a_call_that_is_cut_off_counts_as_if_it_had_been_answered(provider: Provider) -> None:
    async with asked_of(provider) as asker:
        asker.seconds = 0.3
        for fault in ("slow", "stalled"):
            assert await asker.usage(fault) == asker.estimate
        soon = ask(asker.judge.card, 4, deadline=datetime.now(UTC) + timedelta(seconds=0.4))
        answer = await Bench({"openai": asker.of("slow")}).answer(soon, reds(10, 200, 30, 150))
        assert not isinstance(answer, Verdict)
        assert answer.usage.model_copy(update={"seconds": 0.0}) == asker.estimate
        assert answer.detail == "the model of the judge 'openai' gave no answer in time"


async def test_a_call_whose_end_is_told_by_an_error_of_its_own_counts_like_one_that_is_cut_off() -> None:
    """An SDK whose own time-out and ours come in the same turn of the loop turns the one into the other."""

    async def saying(number: int, shown: dict[bytes, str]) -> str:
        try:
            return await asyncio.get_running_loop().create_future()  # type: ignore[no-any-return]
        except asyncio.CancelledError:
            raise JudgeUnavailable("the request timed out") from None

    judge, chat = scripted(saying)
    with pytest.raises(JudgeUnavailable) as raised:
        await judge.score(ask(judge.card, 2, deadline=datetime.now(UTC) + timedelta(seconds=0.5)), some(2))
    assert chat.calls == 1
    assert raised.value.usage == judge.card.cost(2).model_copy(update={"seconds": 0.0})


@pytest.mark.parametrize("told", [True, 2.5, "7", -1, 10**400, None])
def test_what_is_no_number_of_tokens_counts_as_not_told(told: object) -> None:
    assert count(told) == 0


async def test_far_more_tokens_than_expected_are_an_alarm_once() -> None:
    """The report that one picture was billed 66,000 tokens, its base64 counted as text."""
    rates, expected = Rates("j", TWO_AND_EIGHT), JudgeUsage(tokens=Tokens(input=900, output=150, image=300))
    with capture_logs() as logs:
        for told in (4500, 66_000, 66_000):
            rates.of_reply(JudgeUsage(tokens=Tokens(input=told, output=9)), expected)
    assert [(line["log_level"], line["judge"], line["billed"], line["expected"]) for line in logs] == [
        ("warning", "j", 66_000, 900)
    ]
