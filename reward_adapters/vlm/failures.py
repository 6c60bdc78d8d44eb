"""What the openai SDK raises, as our typed errors: what may pass, what was refused, what somebody has to mend. It knows no judge.

The details reach users: they name neither the server's address nor anything that is the key's.
"""

import re
from collections.abc import Mapping

import openai

from contracts.errors import (
    JudgeError,
    JudgeMisconfigured,
    JudgeQuotaExhausted,
    JudgeRefused,
    JudgeUnavailable,
)

from ..bodies import busy, quoted, retry_after

QUOTA = ("insufficient_quota", "billing_hard_limit_reached", "billing_not_active")
REFUSED = ("content_filter", "content_policy_violation", "responsibleaipolicyviolation")
OTHER_TOKEN_PARAM = {"max_tokens": "max_completion_tokens", "max_completion_tokens": "max_tokens"}
_TOO_MANY = re.compile(
    r"\b(at most|maximum|too many|limit)\b.*\bimages?\b|\bimages?\b.*\b(at most|too many|limit)\b", re.I
)
_BLIND = re.compile(  # OpenAI; vLLM; llama.cpp, with the status 500; Ollama; others
    r"image_url is only supported by|not a multi-?modal model|images? (input )?(is|are) not supported|required for image input"
    r"|(not|n't) support (images?|vision|multi-?modal)|that support image input",
    re.I,
)
_UNTAKEN = re.compile(
    r"unsupported|(not|n't) support|deprecated|only the default|not (allowed|permitted)|unrecognized", re.I
)
_OUT_OF_RANGE = re.compile(
    r"\b(maximum|minimum|at (most|least)|too (large|small|high|low)|between|range|exceeds?|less|greater)\b|[<>]", re.I
)


def typed(error: openai.OpenAIError, judge: str, prefix: str, key: str) -> JudgeError:
    """The error as one of ours. `prefix` is that of the judge's settings, `key` what no sentence may show."""
    if isinstance(error, openai.APITimeoutError):
        return JudgeUnavailable(f"the model of the judge {judge!r} gave no answer in time")
    if isinstance(error, openai.APIStatusError):
        return _of_status(error, judge, prefix, key)
    if isinstance(error, openai.APIConnectionError):
        cause = type(error.__cause__).__name__ if error.__cause__ else "no connection"
        fix = f": is it running, and {prefix}BASE_URL its address?" if cause == "ConnectError" else ""
        return JudgeUnavailable(f"the server of the judge {judge!r} cannot be reached, or hung up ({cause}){fix}")
    return JudgeUnavailable(f"the judge {judge!r} could not ask its model ({type(error).__name__})")


def takes_no(error: openai.OpenAIError, name: str) -> bool:
    """Whether the server refuses the request for its parameter `name` altogether, and not for a value out of range."""
    if not isinstance(error, openai.APIStatusError) or error.status_code not in (400, 422):
        return False
    said = f"{_message(error)} {error.code or ''}"
    if error.param == name:
        return not _OUT_OF_RANGE.search(said)
    return bool(re.search(rf"\b{name}\b", said) and _UNTAKEN.search(said))


def _of_status(error: openai.APIStatusError, judge: str, prefix: str, key: str) -> JudgeError:
    status, codes = error.status_code, {str(said).lower() for said in (error.code, error.type) if said}
    if status == 402 or codes & set(QUOTA):
        return JudgeQuotaExhausted(
            f"the account of the judge {judge!r} has no quota left ({status}): its owner has to add credit or raise the limit"
        )
    if codes & set(REFUSED):
        return JudgeRefused(
            f"the provider of the judge {judge!r} declined to look at this prompt, scenario or these pictures"
        )
    passing = busy(status, f"the server of the judge {judge!r}", retry_after(error.response.headers))
    if status != 429 and _BLIND.search(_message(error)):  # some servers say it with 500
        return JudgeMisconfigured(
            f"the judge {judge!r} is misconfigured ({status}): its model sees no pictures here, set {prefix}MODEL to one that does "
            f"(llama.cpp needs --mmproj){quoted(_message(error), key)}"
        )
    if passing is not None:
        return passing
    return JudgeMisconfigured(f"the judge {judge!r} is misconfigured ({status}): {_advice(error, prefix, key)}")


def _advice(error: openai.APIStatusError, prefix: str, key: str) -> str:
    """What to do about a request that will fail again as it is."""
    said = quoted(_message(error), key)
    if error.status_code == 401:
        return f"the server does not accept its key, check {prefix}API_KEY"  # it may quote the key: not shown
    if error.status_code == 403:
        return f"its key may not use this model, check {prefix}API_KEY and {prefix}MODEL"
    if error.status_code == 404:
        return (
            f"the server does not know the model or the address, check {prefix}MODEL and {prefix}BASE_URL, which ends with the "
            f"version, as in …/v1{said}"
        )
    if _TOO_MANY.search(said):
        return f"the server takes fewer pictures at once, set {prefix}MAX_IMAGES to what it takes, or {prefix}MODE=grid{said}"
    if error.status_code == 413:
        return f"the request is too large for the server, set {prefix}MODE=grid or ask for fewer candidates"
    return f"{_about_parameters(error, prefix)}{said}"


def _about_parameters(error: openai.APIStatusError, prefix: str) -> str:
    """Which setting to change where the server does not take how it is asked."""
    if takes_no(error, "temperature"):
        return f"its model takes no temperature, unset {prefix}TEMPERATURE"
    for name, other in OTHER_TOKEN_PARAM.items():
        if error.param == name and takes_no(error, name):
            return f"the server does not take {name}, set {prefix}TOKEN_PARAM={other}"
    return (
        f"the server does not take the request, check {prefix}SCHEMA_MODE, _TOKEN_PARAM, _TEMPERATURE and _EXTRA_BODY"
    )


def _message(error: openai.APIStatusError) -> str:
    """What the server said, as it came; empty where it said nothing that can be read."""
    said = error.body.get("message") if isinstance(error.body, Mapping) else None
    return said if isinstance(said, str) else ""
