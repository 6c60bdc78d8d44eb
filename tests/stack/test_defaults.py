"""With nothing set, the service draws with its own model and its own judge."""

from pathlib import Path

import httpx

from .running import Running, Witness, body, gone, new_stack
from .test_main_job import png_size


def test_the_embedded_model_is_steered_by_the_local_judge(tmp_path: Path) -> None:
    with new_stack(tmp_path) as stack, httpx.Client(base_url=stack.url, timeout=30) as http:
        service = Running(stack, http, Witness(tmp_path))
        request = body(prompt="a red apple", sampler={"candidates": 2, "steps": 4})
        del request["model"], request["judge"]
        job = service.ended(http.post("/generate", json=request).json()["id"])
        assert (job["status"], job["model"], job["judge"]) == ("succeeded", "embedded", "local")
        assert job["result"]["preference"] in ("result", "baseline", "tie")
        assert png_size(service.get(job["id"], "image.png").content) == (128, 128)
        pids = list(stack.pids.values())
    assert gone(pids)
