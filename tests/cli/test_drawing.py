"""What a finished job came to and what it cost are sentences."""

import pytest

from cli.drawing import bill, verdict
from contracts.jobs import JobView, JudgeTotal, Result, Usage
from contracts.judging import Tokens
from service.documentation import JOB_EXAMPLE

TOKENS = Tokens(input=21_480, output=1_350, image=12_320)


@pytest.mark.parametrize(
    ("used", "sentence"),
    [
        (JudgeTotal(), "The judge was called 0 times."),
        (JudgeTotal(calls=14), "The judge was called 14 times."),
        (JudgeTotal(calls=14, failures=1), "The judge was called 14 times and failed once."),
        (JudgeTotal(calls=1, usd=0.0), "The judge was called once and cost $0.0000."),
        (JudgeTotal(cached=1), "The judge was called 0 times. 1 verdict came from the cache."),
        (JudgeTotal(calls=2, cached=12), "The judge was called 2 times. 12 verdicts came from the cache."),
        (
            JudgeTotal(calls=9, tokens=TOKENS, usd=0.0222),
            "The judge was called 9 times, read 21,480 tokens, wrote 1,350 and cost $0.0222.",
        ),
        (
            JudgeTotal(calls=9, failures=2, tokens=TOKENS, estimated=True, usd=0.0222),
            "The judge was called 9 times, failed 2 times, read about 21,480 tokens, wrote about 1,350 and cost about $0.0222.",
        ),
    ],
)
def test_a_bill_says_what_there_is_to_say(used: JudgeTotal, sentence: str) -> None:
    job = JobView.model_validate(JOB_EXAMPLE).model_copy(update={"usage": Usage(judge=used)})
    assert bill(job) == sentence


@pytest.mark.parametrize(
    ("result", "sentence"),
    [
        (
            Result(score=175.3, baseline_score=160.3, steered_steps=12),
            "local's score rose by 15, from 160 (plain) to 175 (steered).",
        ),
        (
            Result(preference="result", steered_steps=12),
            "Asked blind in both orders, local prefers the steered picture.",
        ),
        (
            Result(score=0.5, baseline_score=0.75, preference="baseline", steered_steps=12),
            "local's score fell by 0.25, from 0.75 (plain) to 0.5 (steered). Asked blind in both orders, local prefers the plain picture.",
        ),
        (Result(steered_steps=12), "Steered and plain picture were not compared."),
        (
            Result(failure="judge_unavailable: nobody listens", steered_steps=12),
            "Steered and plain picture were not compared: judge_unavailable: nobody listens.",
        ),
    ],
)
def test_an_outcome_says_how_the_picture_compares(result: Result, sentence: str) -> None:
    job = JobView.model_validate(JOB_EXAMPLE).model_copy(update={"result": result})
    assert verdict(job) == f"{sentence} 12 of {job.progress.steps} steps were steered."
