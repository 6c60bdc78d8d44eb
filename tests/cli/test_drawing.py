"""What a finished job cost is one sentence."""

import pytest

from cli.drawing import bill
from contracts.jobs import JobView, JudgeTotal, Usage
from contracts.judging import Tokens
from service.documentation import JOB_EXAMPLE

TOKENS = Tokens(input=21_480, output=1_350, image=12_320)


@pytest.mark.parametrize(
    ("used", "sentence"),
    [
        (JudgeTotal(), "The judge was called 0 times."),
        (JudgeTotal(calls=14), "The judge was called 14 times."),
        (JudgeTotal(calls=14, failures=1), "The judge was called 14 times, failed once."),
        (JudgeTotal(calls=1, usd=0.0), "The judge was called once, cost $0.0000."),
        (
            JudgeTotal(calls=9, tokens=TOKENS, usd=0.0222),
            "The judge was called 9 times, read 21,480 tokens and wrote 1,350, cost $0.0222.",
        ),
        (
            JudgeTotal(calls=9, failures=2, tokens=TOKENS, estimated=True, usd=0.0222),
            "The judge was called 9 times, failed 2 times, read about 21,480 tokens and wrote 1,350, cost about $0.0222.",
        ),
    ],
)
def test_a_bill_says_what_there_is_to_say(used: JudgeTotal, sentence: str) -> None:
    job = JobView.model_validate(JOB_EXAMPLE).model_copy(update={"usage": Usage(judge=used)})
    assert bill(job) == sentence
