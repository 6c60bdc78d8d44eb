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


async def test_the_documents_own_examples_are_accepted(client: httpx.AsyncClient, workers: None) -> None:
    document = (await client.get("/openapi.json")).json()
    examples = document["paths"]["/generate"]["post"]["requestBody"]["content"]["application/json"]["examples"]
    for example in examples.values():
        assert (await client.post("/generate", json=example["value"])).status_code == 202, example
