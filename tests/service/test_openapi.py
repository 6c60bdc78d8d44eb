"""The OpenAPI document is complete, and the gateway does what it says, whatever Schemathesis sends."""

from typing import Any

import httpx
import pytest
import schemathesis
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from schemathesis import GenerationMode
from schemathesis.core.result import Ok
from schemathesis.specs.openapi.checks import positive_data_acceptance

from contracts.errors import Problem
from contracts.jobs import JobView
from service.views import EXAMPLE_ID

METHODS = {"get", "post", "delete"}
EXAMPLES = 12  # of each operation in each mode


@pytest.mark.usefixtures("workers")
def test_what_the_document_allows_is_answered_as_it_says(gateway_url: str, redis_url: str) -> None:
    for operation in _operations(gateway_url):
        job_id = httpx.post(f"{gateway_url}/generate", json={"prompt": "x"}).json()["id"]
        httpx.post(f"{gateway_url}/v1/generations/{job_id}/cancel")  # so that its event stream ends
        _try(operation, GenerationMode.POSITIVE, job_id)


@pytest.mark.usefixtures("workers")
def test_what_the_document_does_not_allow_is_refused_as_it_says(gateway_url: str, redis_url: str) -> None:
    for operation in _operations(gateway_url):
        if "422" in operation.definition.raw["responses"]:  # where nothing can be wrong, nothing wrong can be sent
            _try(operation, GenerationMode.NEGATIVE)


def _operations(url: str) -> list[Any]:
    schema = schemathesis.openapi.from_url(f"{url}/openapi.json")
    operations = [found.ok() for found in schema.get_all_operations() if isinstance(found, Ok)]
    assert len(operations) == sum(len(path) for path in schema.raw_schema["paths"].values())
    return operations


def _try(operation: Any, mode: GenerationMode, job_id: str | None = None) -> None:
    @given(case=operation.as_strategy(generation_mode=mode), known=st.booleans())
    @settings(max_examples=EXAMPLES, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
    def check(case: schemathesis.Case[Any], known: bool) -> None:
        if job_id is not None and known and "job_id" in case.path_parameters:
            case.path_parameters["job_id"] = job_id
        case.headers.pop("Prefer", None)  # a job that nobody draws would be waited for
        # A well-formed request may still name a judge that nobody offers.
        case.call_and_validate(excluded_checks=[positive_data_acceptance])

    check()


async def test_every_operation_says_what_it_is_and_how_it_fails(client: httpx.AsyncClient) -> None:
    document = (await client.get("/openapi.json")).json()
    operations = [operation for path in document["paths"].values() for operation in path.values()]
    assert len({operation["operationId"] for operation in operations}) == len(operations)
    assert {method for path in document["paths"].values() for method in path} <= METHODS
    for operation in operations:
        name = operation["operationId"]
        assert operation["summary"], name
        assert operation["description"], name
        assert "500" in operation["responses"], name
        for status, answer in operation["responses"].items():
            assert answer["description"], (name, status)
            if status >= "400":
                assert list(answer["content"]) == ["application/problem+json"], (name, status)
                assert answer["content"]["application/problem+json"]["schema"]["$ref"].endswith("/Problem")
    submit = document["paths"]["/v1/generations"]["post"]
    assert {"Location", "Retry-After", "Idempotent-Replayed"} <= set(submit["responses"]["202"]["headers"])
    assert submit["requestBody"]["content"]["application/json"]["examples"]
    follow = document["paths"]["/v1/generations/{job_id}/events"]["get"]
    assert list(follow["responses"]["200"]["content"]) == ["text/event-stream"]


async def test_every_example_is_what_would_be_answered(client: httpx.AsyncClient) -> None:
    document = (await client.get("/openapi.json")).json()
    jobs = 0
    for path in document["paths"].values():
        for operation in path.values():
            for status, answer in operation["responses"].items():
                for media_type, body in answer.get("content", {}).items():
                    if media_type == "application/problem+json":
                        problem = Problem.model_validate(body["example"])
                        assert (str(problem.status), "…" in problem.code) == (status, False)
                        assert problem.retryable is ("Retry-After" in answer.get("headers", {}))
                    elif body.get("schema", {}).get("$ref", "").endswith("/JobView"):
                        assert set(body["example"]) == set(JobView.model_fields)
                        assert JobView.model_validate(body["example"]).model_dump(mode="json") == body["example"]
                        jobs += 1
    assert jobs == 4, "submitted (by two paths), looked at, canceled"


@pytest.mark.usefixtures("workers")
async def test_problems_are_answered_as_their_examples_say(client: httpx.AsyncClient) -> None:
    document = (await client.get("/openapi.json")).json()
    json_type, no_job = {"Content-Type": "application/json"}, "/v1/generations/" + EXAMPLE_ID
    answers = {
        ("/v1/generations", "post", "400"): await client.post("/v1/generations", content=b"no", headers=json_type),
        ("/v1/generations", "post", "413"): await client.post("/v1/generations", content=b"x" * (2**20 + 1)),
        ("/v1/generations", "post", "415"): await client.post(
            "/v1/generations", content=b"x", headers={"Content-Type": "text/plain"}
        ),
        ("/v1/generations", "post", "422"): await client.post("/v1/generations", json={"prompt": ""}),
        ("/v1/generations/{job_id}", "get", "404"): await client.get(no_job),
    }
    for (path, method, status), answer in answers.items():
        documented = document["paths"][path][method]["responses"][status]
        assert answer.json() == documented["content"]["application/problem+json"]["example"]


async def test_the_documents_own_examples_are_accepted(client: httpx.AsyncClient, workers: None) -> None:
    document = (await client.get("/openapi.json")).json()
    examples = document["paths"]["/generate"]["post"]["requestBody"]["content"]["application/json"]["examples"]
    for example in examples.values():
        assert (await client.post("/generate", json=example["value"])).status_code == 202, example
