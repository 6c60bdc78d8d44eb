"""kill -9 of any process in the middle of a job: it starts again, and the job succeeds, each step written down once."""

import json

import pytest

from .running import STEPS, Running, kill_and_mend


@pytest.mark.parametrize("role", ["gateway", "gpu-worker", "judge-worker", "redis"])
def test_a_job_survives_a_kill_in_its_middle(service: Running, role: str) -> None:
    service.witness.hold()
    job_id = service.submit()
    service.witness.wait_for_step_2(job_id)
    before = service.stack.pids
    kill_and_mend(service, role)
    after = service.stack.pids
    assert [name for name in after if after[name] != before[name]] == [role]
    service.witness.release()

    job = service.ended(job_id)
    assert (job["status"], job["error"]) == ("succeeded", None)
    assert job["usage"]["judge"]["failures"] == 0
    rows = [json.loads(line) for line in service.get(job_id, "audit.jsonl").text.splitlines()]
    assert [row["step"] for row in rows] == list(range(1, STEPS + 1))
    assert not any(row["failure"] for row in rows)
    asked = service.witness.asks(job_id, "candidates")
    judges = {ask["pid"] for ask in asked}
    assert judges == ({before[role], after[role]} if role == "judge-worker" else {before["judge-worker"]})
    assert [row["epoch"] for row in rows] == ([1] + [2] * (STEPS - 1) if role == "gpu-worker" else [1] * STEPS)
