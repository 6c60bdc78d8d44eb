"""The settings of the judge `http`: what is missing or wrong is said with its name; neither token nor address is shown."""

from pathlib import Path

import pytest

from reward_adapters.base import JudgeNotConfigured, JudgeSetupError
from reward_adapters.http_scorer.judge import judge
from reward_adapters.http_scorer.settings import PREFIX, HttpSettings

from .asking import environment
from .scorer import TOKEN

URL = "http://scorer.example:8100/score"
PAGE = (Path(__file__).parents[3] / "docs" / "http-judge.md").read_text(encoding="utf-8")


def test_without_settings_it_is_not_configured_and_with_some_it_is_wrong() -> None:
    for nothing in ({}, {f"{PREFIX}URL": " "}):
        with pytest.raises(
            JudgeNotConfigured, match="set MAXWELL_JUDGE_HTTP_URL to where your scorer takes its requests"
        ):
            judge(nothing)
    with pytest.raises(JudgeSetupError, match="set MAXWELL_JUDGE_HTTP_URL") as raised:
        judge({f"{PREFIX}TIMEOUT": "3"})
    assert not isinstance(raised.value, JudgeNotConfigured)


def test_the_card_says_what_is_set() -> None:
    card = judge(environment(URL)).card
    assert (card.kind, card.picture_size, card.encoding, card.max_pictures) == ("scoring", 512, "jpeg", 64)
    told = {"kind": "selecting", "picture_size": "0", "encoding": "png", "max_pictures": "8", "objective": "cats"}
    card = judge(environment(URL, **told)).card
    assert (card.kind, card.picture_size, card.encoding, card.max_pictures) == ("selecting", None, "png", 8)
    assert (card.objective, card.name) == ("cats", "http")
    assert URL not in card.model_dump_json()


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("kind", "ranking", "'selecting' or 'scoring'"),
        ("encoding", "webp", "'jpeg' or 'png'"),
        ("timeout", "0", "greater than 0"),
        ("timeout", "nan", "finite number"),
        ("timeout", "soon", "valid number"),
        ("picture_size", "-1", "greater than or equal to 0"),
        ("max_pictures", "1", "greater than or equal to 2"),
        ("concurrency", "0", "greater than or equal to 1"),
        ("allow_private", "perhaps", "valid boolean"),
        ("token", "zwei Wörter", "characters no token has"),
        ("token", "a\nHost: b", "characters no token has"),
        ("url", "scorer:8100/score", "no address"),
        ("url", "ftp://scorer/score", "no address"),
        ("url", "http:///score", "no address"),
        ("url", "http://scorer:port/", "no address"),
        ("url", "http://scorer:99999/", "no address"),
        ("url", "http://scorer/a b", "no address"),
        ("url", "http://scorer/a\r\nHost: b", "no address"),
        ("url", "http://schätzer/", "in ASCII"),
        ("url", "http://[::1/", "no address"),
        ("url", "http://me:secret@scorer/", "set MAXWELL_JUDGE_HTTP_TOKEN instead"),
        ("url", "http://169.254.169.254/latest", "a cloud's own services"),
        ("url", "http://[::ffff:169.254.169.254]/", "a cloud's own services"),
        ("url", "http://0.0.0.0:8100/", "of no host at all"),
    ],
)
def test_a_wrong_setting_is_named(name: str, value: str, said: str) -> None:
    with pytest.raises(JudgeSetupError, match=f"'http' is misconfigured: {PREFIX}{name.upper()}: .*{said}") as raised:
        judge(environment(URL) | environment(**{"url": URL, name: value}))
    assert name not in ("url", "token") or value not in str(raised.value)
    assert TOKEN not in repr(raised.value)


def test_a_private_address_in_the_url_is_refused_where_private_ones_are() -> None:
    assert judge(environment("http://10.0.0.5/score")).settings.private_allowed
    with pytest.raises(JudgeSetupError, match="set MAXWELL_JUDGE_HTTP_ALLOW_PRIVATE=1"):
        judge(environment("http://10.0.0.5/score", allow_private="0"))


def test_every_setting_is_documented_with_its_default() -> None:
    rows = {row.split("`")[1].removeprefix("…_").lower(): row for row in PAGE.splitlines() if row.startswith("| `…_")}
    assert set(rows) == set(HttpSettings.model_fields)
    for name in ("kind", "objective", "timeout", "picture_size", "encoding", "max_pictures"):
        default = HttpSettings.model_fields[name].default
        assert rows[name].split("|")[2].strip(" `") == (f"{default:g}" if isinstance(default, float) else str(default))
