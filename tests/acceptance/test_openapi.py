"""Schemathesis against the OpenAPI document: whatever is asked, the answer is as the document says,
and never a defect of ours."""

from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from schemathesis import Case, GenerationMode
from schemathesis.checks import CHECKS
from schemathesis.config import ProjectConfig, ProjectsConfig, SchemathesisConfig
from schemathesis.core.result import Ok
from schemathesis.schemas import APIOperation, BaseSchema

from tests.mill import PATIENCE, sentences, wait
from tests.serving import Served

# What a field may say is more than its schema can: which models there are, what a window is. Who
# may ask is for tests/acceptance/test_who_may_ask.py: this token is sent with each request.
_NOT_ASKED = ["positive_data_acceptance", "ignored_auth"]
_EXAMPLES = 6


@pytest.fixture
def api(served: Served) -> BaseSchema:
    """Asked with a token that may all; paths lead to a job and a file that there are."""
    token = served.token("admin")
    with served.http(token) as http:
        made = http.post("/v1/jobs", json={"model": "lead-1", "documents": sentences(3)}).json()
        file = http.post("/v1/files", files={"file": ("a.jsonl", b'{"text": "One."}\n')}).json()
    with served.mill.client() as client:
        assert wait(client.job(made["id"])) == "completed"
    asked = ProjectConfig(
        headers={"Authorization": f"Bearer {token}"},
        parameters={"job_id": made["id"], "other": made["id"], "file_id": file["id"]},
        request_timeout=PATIENCE,
    )
    config = SchemathesisConfig(seed=1, projects=ProjectsConfig(default=asked))
    return schemathesis.openapi.from_url(f"{served.url}/openapi.json", config=config)


@pytest.mark.timeout(300)
@pytest.mark.parametrize("mode", list(GenerationMode))
def test_answers_are_as_the_document_says(
    api: BaseSchema, mode: GenerationMode, subtests: pytest.Subtests
) -> None:
    unasked: Any = CHECKS.get_by_names(_NOT_ASKED)
    found = [each.ok() for each in api.get_all_operations() if isinstance(each, Ok)]
    asked = [each for each in found if not mode.is_negative or _can_be_asked_wrong(each)]
    assert len(asked) > 8
    for operation in asked:

        @settings(
            max_examples=_EXAMPLES,
            phases=[Phase.generate],
            suppress_health_check=[HealthCheck.filter_too_much, HealthCheck.too_slow],
        )
        @given(case=operation.as_strategy(generation_mode=mode))
        def ask(case: Case[Any]) -> None:
            case.call_and_validate(excluded_checks=unasked)

        with subtests.test(operation=operation.label):
            ask()


def _can_be_asked_wrong(operation: APIOperation[Any, Any, Any, Any]) -> bool:
    """It has a query or a body by a schema; that of a form says little."""
    bodies = [body.media_type for body in operation.body]
    return "multipart/form-data" not in bodies and bool(bodies or operation.query)
