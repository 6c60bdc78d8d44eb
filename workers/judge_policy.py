"""When a judge's failures end its job: by the job's own policy, and where the judge never answered.

It knows audit rows and what the job asked for; it knows no judge, no bus and nothing of a step's making.
"""

from collections.abc import Sequence

from contracts.errors import JudgeError, judge_error
from contracts.jobs import JobSpec, StepAudit

CAP_REACHED = "budget_exceeded"  # begins the failure of a step that nobody was asked about: none of the judge's


def heed(spec: JobSpec, rows: Sequence[StepAudit]) -> None:
    """Raises the judge's last failure where the job's policy has it end the job after these steps, all of its life."""
    if spec.on_judge_failure == "fail":
        for row in rows:
            for failure in (_failure(row), row.check_failure):
                if failure:
                    raise _error(failure)
    skipped = [row for row in rows if _failure(row)]
    if len(skipped) > spec.max_skipped_steps:
        raise _error(str(skipped[-1].failure), _too_many(spec, skipped))


def check_answered(spec: JobSpec, rows: Sequence[StepAudit]) -> None:
    """Raises the judge's last failure where it failed and never answered, though no opinion is an answer too."""
    failures = [failure for row in rows if (failure := _failure(row))]
    if failures and not any(_answered(row) for row in rows):
        raise _error(failures[-1], f"the judge {spec.judge!r} answered at no step; the last time: {failures[-1]}")


def _too_many(spec: JobSpec, skipped: Sequence[StepAudit]) -> str:
    last = skipped[-1]
    if len(skipped) == 1:
        return f"the judge {spec.judge!r} failed at step {last.step}, and max_skipped_steps allows no step to be skipped: {last.failure}"
    were = "step was" if len(skipped) == 2 else "steps were"
    return (
        f"{len(skipped) - 1} {were} skipped for failures of the judge {spec.judge!r}, as many as max_skipped_steps allows; at step "
        f"{last.step} it failed again: {last.failure}"
    )


def _failure(row: StepAudit) -> str | None:
    """Why the step was skipped, where that is the judge's fault."""
    return None if row.failure is None or row.failure.startswith(CAP_REACHED) else row.failure


def _answered(row: StepAudit) -> bool:
    """Whether the judge spoke at that step, if only to say that it has no opinion."""
    return bool(row.scores) and (row.failure is None or any(score is not None for score in row.scores))


def _error(failure: str, sentence: str = "") -> JudgeError:
    """A row's failure, `code: detail`, as the typed error that it was."""
    code, _, detail = failure.partition(": ")
    return judge_error(code, sentence or detail)
