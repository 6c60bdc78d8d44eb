"""The commands that speak to a service: pictures saved, tables for people, one JSON document for programs, refusals in one sentence."""

import json
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from cli.drawing import ARTIFACTS

from .running import STEPS, Running, kill_and_mend, until

QUICK = ("--model", "toy", "--judge", "colorfulness", "-k", "4", "-t", str(STEPS), "--seed", "7")


def maxwell(service: Running, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "cli", *arguments, "--url", service.stack.url]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)


def test_generate_saves_everything_and_says_how_the_score_changed(service: Running, tmp_path: Path) -> None:
    out = tmp_path / "a folder [with] a long name" / "so that the line is longer than a terminal of eighty columns"
    ended = maxwell(service, "generate", "a [red] disc", *QUICK, "--out", str(out))
    assert (ended.returncode, ended.stderr) == (0, "")
    assert sorted(path.name for path in out.iterdir()) == sorted(ARTIFACTS)
    for name, meaning in ARTIFACTS.items():
        assert f"  {out / name}  {meaning}\n" in ended.stdout
    assert f"{STEPS}/{STEPS} steps reward " in ended.stdout, "the bar keeps the last reward"
    assert "colorfulness's score " in ended.stdout
    (job,) = service.http.get("/v1/generations", params={"limit": 1}).json()["data"]
    assert job["prompt"] == "a [red] disc"
    assert (out / "image.png").read_bytes() == service.get(job["id"], "image.png").content


@pytest.mark.parametrize("method", ["demon", "pf_ode", "best_of_n"])
def test_generate_for_programs_prints_one_document(service: Running, tmp_path: Path, method: str) -> None:
    ended = maxwell(service, "generate", "red", *QUICK, "--method", method, "--out", str(tmp_path), "--json")
    assert ended.returncode == 0
    job = json.loads(ended.stdout)
    assert (job["status"], job["sampler"]["method"]) == ("succeeded", method)
    assert (tmp_path / "image.png").read_bytes().startswith(b"\x89PNG")


@pytest.mark.parametrize(
    ("listing", "path", "shown"),
    [("judges", "judges", "colorfulness"), ("models", "models", "toy"), ("scenarios", "scenarios", "journalist")],
)
def test_listings_are_tables_for_people_and_json_for_programs(
    service: Running, listing: str, path: str, shown: str
) -> None:
    table, document = maxwell(service, listing), maxwell(service, listing, "--json")
    assert shown in table.stdout
    assert json.loads(document.stdout) == service.http.get(f"/v1/{path}").json()["data"]
    assert (table.returncode, table.stderr, document.returncode, document.stderr) == (0, "", 0, "")


def test_jobs_lists_prompts_as_they_are(service: Running) -> None:
    """Square brackets are no markup."""
    job_id = service.submit(prompt="[/b] [red]disc[/red]", judge="colorfulness")
    service.ended(job_id)
    table = maxwell(service, "jobs", "--limit", "1")
    assert (table.returncode, table.stderr) == (0, "")
    assert "[/b]" in table.stdout
    assert json.loads(maxwell(service, "jobs", "--limit", "1", "--json").stdout)[0]["id"] == job_id
    listed = json.loads(maxwell(service, "jobs", "--status", "succeeded", "--json").stdout)
    assert {job["status"] for job in listed} == {"succeeded"}
    assert json.loads(maxwell(service, "jobs", "--status", "expired", "--json").stdout) == []


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (("generate", "x", "--judge", "lokal", "--model", "toy"),
         "there is no judge 'lokal': choose one of colorfulness, jpeg_compressibility, witness (validation_failed)"),
        (("generate", "x", "--judge", "witness", "--model", "sdxl"),
         "there is no model 'sdxl': choose one of toy (validation_failed)"),
        (("generate", "x", "--judge", "witness", "--model", "toy", "--scenario", "pilot"),
         "there is no scenario 'pilot': choose one of artist, journalist, researcher, teacher (validation_failed)"),
        (("generate", "x", "--judge", "witness", "--model", "toy", "-k", "1"),
         "/sampler/candidates: Input should be greater than or equal to 2 (validation_failed)"),
    ],
)  # fmt: skip
def test_a_refused_request_is_one_sentence_with_what_is_allowed(
    service: Running, tmp_path: Path, arguments: tuple[str, ...], sentence: str
) -> None:
    out = tmp_path / "out"
    ended = maxwell(service, *arguments, "--out", str(out))
    assert (ended.returncode, ended.stdout, ended.stderr) == (1, "", f"maxwell: {sentence}\n")
    assert not out.exists()


def test_a_folder_that_cannot_be_written_is_said_before_the_job(service: Running, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    before = service.http.get("/v1/generations").json()["data"]
    for out, reason in ((tmp_path / "file", "Not a directory"), (tmp_path / "file" / "deeper", "Not a directory")):
        ended = maxwell(service, "generate", "red", *QUICK, "--out", str(out))
        sentence = f"maxwell: cannot write into {out} ({reason}): choose another --out.\n"
        assert (ended.returncode, ended.stderr) == (1, sentence)
    assert service.http.get("/v1/generations").json()["data"] == before


def started(service: Running, prompt: str, *arguments: str) -> tuple[subprocess.Popen[str], str]:
    """`maxwell generate` with a job that is held in its middle, and the job's id."""
    service.witness.hold()
    command = [sys.executable, "-m", "cli", "generate", prompt, "--model", "toy", "--judge", "witness", *arguments]
    process = subprocess.Popen(
        [*command, "--url", service.stack.url], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )

    def newest() -> dict[str, str]:
        found: dict[str, str] = service.http.get("/v1/generations", params={"limit": 1}).json()["data"][0]
        return found

    until(lambda: newest()["prompt"] == prompt, "the job is there")
    job_id = newest()["id"]
    service.witness.wait_for_step_2(job_id)
    return process, job_id


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM])
def test_ctrl_c_cancels_the_job_and_says_so(service: Running, tmp_path: Path, how: signal.Signals) -> None:
    process, job_id = started(service, how.name, "--out", str(tmp_path / "out"), "--json")
    process.send_signal(how)
    said, complained = process.communicate(timeout=30)
    assert (process.returncode, said) == (130, "")
    assert complained.splitlines()[-1] == f"maxwell: canceled the job {job_id} at step 1 of 16."
    service.witness.release()
    assert service.ended(job_id)["status"] == "canceled"
    assert not (tmp_path / "out").exists()


def test_generate_waits_for_a_gateway_that_comes_back(service: Running, tmp_path: Path) -> None:
    process, job_id = started(service, "patience", "--out", str(tmp_path), "--json")
    kill_and_mend(service, "gateway")
    service.witness.release()
    said, _ = process.communicate(timeout=30)
    assert process.returncode == 0
    assert (json.loads(said)["id"], json.loads(said)["status"]) == (job_id, "succeeded")
