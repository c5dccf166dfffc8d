"""The official `openai` package against `gistmill serve`: what its user does, unchanged."""

import json
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Any

import pytest
from openai import BadRequestError, NotFoundError, OpenAI
from openai.types import Batch, Model
from openai.types.chat import ChatCompletion

from tests import models
from tests.mill import Mill, sentences
from tests.openai_files import counts, create, lines, over, read, request, upload
from tests.serving import Served, serving


@pytest.fixture(scope="module")
def served(running: Mill, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """One whose users may name models of the tests by their folders."""
    allowed = json.dumps([str(tmp_path_factory.getbasetemp())])
    with serving(running, GISTMILL_ALLOWED_SOURCES=allowed) as found:
        yield found


@pytest.fixture(scope="module")
def client(served: Served) -> Iterator[OpenAI]:
    with OpenAI(base_url=f"{served.url}/v1", api_key="whatever", max_retries=0) as made:
        yield made


@pytest.fixture(scope="module")
def done(client: OpenAI) -> Batch:
    """A batch of thirty requests, one of which has nothing in it."""
    texts = sentences(30)
    texts[7] = " "
    given = [request(n, text) for n, text in enumerate(texts)]
    return over(client, create(client, lines(given), metadata={"team": "press"}))


def test_a_batch_from_file_to_answers(client: OpenAI, done: Batch) -> None:
    assert done.status == "completed"
    assert counts(done) == (30, 29, 1)
    assert done.metadata == {"team": "press"}
    answers = read(client, done.output_file_id)
    expected = [number for number in range(30) if number != 7]
    assert [each["custom_id"] for each in answers] == [f"request-{n}" for n in expected]
    for number, answer in zip(expected, answers, strict=True):
        assert answer["error"] is None
        assert answer["response"]["status_code"] == 200
        completion = ChatCompletion.model_validate(answer["response"]["body"])
        assert completion.model_fields_set == set(ChatCompletion.model_fields)
        assert completion.choices[0].message.content == f"Document {number} begins."
        assert completion.choices[0].finish_reason == "stop"
        assert completion.model == "lead-1"
        assert completion.usage
        assert completion.usage.total_tokens > completion.usage.completion_tokens > 0
    assert len({each["id"] for each in answers}) == 29
    [failed] = read(client, done.error_file_id)
    assert failed["custom_id"] == "request-7"
    assert failed["response"] is None
    assert failed["error"] == {"code": "empty_document", "message": "line 8: empty"}


def test_every_field_of_a_batch_is_there(client: OpenAI, done: Batch) -> None:
    assert done.model_fields_set == set(Batch.model_fields)
    assert done.usage
    assert done.usage.total_tokens == done.usage.input_tokens + done.usage.output_tokens > 0
    times = [done.created_at, done.in_progress_at, done.finalizing_at, done.completed_at]
    assert times == sorted(time or 0 for time in times)
    assert done.expires_at == done.created_at + 24 * 3600
    assert done.failed_at is done.cancelled_at is done.expired_at is None
    assert done.errors is None


def test_its_files_are_files(client: OpenAI, done: Batch) -> None:
    ids = [done.input_file_id, done.output_file_id, done.error_file_id]
    listed = [each.id for each in client.files.list(limit=1)]
    assert set(ids) <= set(listed)
    assert len(listed) == len(set(listed))
    assert [each.id for each in client.files.list(order="asc")] == listed[::-1]
    outputs = {each.id for each in client.files.list(purpose="batch_output")}
    assert outputs == set(listed) & {each for each in listed if each.endswith(("put", "error"))}
    for file_id in ids:
        assert file_id
        file = client.files.retrieve(file_id)
        assert file.bytes == len(client.files.content(file_id).content) > 0


def test_files_are_deleted(client: OpenAI) -> None:
    batch = over(client, create(client, lines([request(0, "A text. And more.")])))
    assert batch.output_file_id
    for file_id in (batch.output_file_id, batch.input_file_id):
        assert client.files.delete(file_id).deleted
        for ask in (client.files.retrieve, client.files.content, client.files.delete):
            with pytest.raises(NotFoundError):
                ask(file_id)
    assert client.batches.retrieve(batch.id).status == "completed"


def test_nothing_is_completed_with_no_success(client: OpenAI) -> None:
    batch = over(client, create(client, lines([request(0, " "), request(1, "")])))
    assert batch.status == "failed"
    assert counts(batch) == (2, 0, 2)
    assert batch.errors
    assert batch.errors.data
    assert batch.errors.data[0].code == "no_document_done"
    assert batch.output_file_id is None
    assert [each["error"]["code"] for each in read(client, batch.error_file_id)] == [
        "empty_document",
        "empty_document",
    ]


def test_a_model_that_a_worker_does_not_find(client: OpenAI) -> None:
    given = [request(0, "A text.", model="/nowhere/such-model")]
    batch = over(client, create(client, lines(given)))
    assert batch.status == "failed"
    assert batch.errors
    assert batch.errors.data
    assert batch.errors.data[0].code in ("model_unknown", "model_not_found")
    assert batch.output_file_id is batch.error_file_id is None


def test_what_is_wrong_in_a_file_is_said_by_line(client: OpenAI) -> None:
    good = lines([request(0, "A text.")])
    batch = create(client, good + b"\nnonsense\n" + good)
    assert batch.status == "failed"
    assert batch.failed_at
    assert counts(batch) == (0, 0, 0)
    assert batch.errors
    assert batch.errors.object == "list"
    assert batch.errors.data
    assert [(each.code, each.line) for each in batch.errors.data] == [
        ("invalid_json_line", 3),
        ("duplicate_custom_id", 4),
    ]
    assert "line 1" in str(batch.errors.data[1].message)
    assert client.batches.retrieve(batch.id) == batch


@pytest.mark.parametrize(
    ("asked", "param"),
    [
        ({"endpoint": "/v1/embeddings"}, "endpoint"),
        ({"completion_window": "tomorrow"}, "completion_window"),
        ({"completion_window": "0h"}, "completion_window"),
        ({"metadata": {f"key{n}": "value" for n in range(17)}}, "metadata"),
        ({"metadata": {"key": 1}}, "metadata"),
    ],
)
def test_what_makes_no_batch(client: OpenAI, asked: dict[str, Any], param: str) -> None:
    file = upload(client, lines([request(0, "A text.")]))
    sound = {"endpoint": "/v1/chat/completions", "completion_window": "24h"}
    with pytest.raises(BadRequestError) as refused:
        client.batches.create(input_file_id=file.id, **{**sound, **asked})
    assert refused.value.param == param
    assert refused.value.type == "invalid_request_error"
    assert param in refused.value.message


def test_files_that_make_no_batch(client: OpenAI) -> None:
    other = client.files.create(file=("a.jsonl", b"{}"), purpose="user_data")
    with pytest.raises(BadRequestError, match="batch") as refused:
        client.batches.create(
            input_file_id=other.id, endpoint="/v1/chat/completions", completion_window="24h"
        )
    assert refused.value.param == "input_file_id"
    with pytest.raises(NotFoundError, match="file-none"):
        client.batches.create(
            input_file_id="file-none", endpoint="/v1/chat/completions", completion_window="24h"
        )


def test_what_is_over_is_not_cancelled(client: OpenAI, done: Batch) -> None:
    with pytest.raises(BadRequestError, match="is completed"):
        client.batches.cancel(done.id)
    with pytest.raises(NotFoundError):
        client.batches.cancel("batch_none")


def test_batches_are_listed_page_by_page(client: OpenAI) -> None:
    made = [create(client, lines([request(n, "A text.")])) for n in range(3)]
    newest = [batch.id for batch in islice(client.batches.list(limit=2), 3)]
    assert newest == [batch.id for batch in reversed(made)]
    page = client.batches.list(limit=2)
    assert page.has_more
    assert len(page.data) == 2
    with pytest.raises(NotFoundError):
        client.batches.list(after="batch_none")


def test_models_are_those_that_were_used(client: OpenAI, done: Batch) -> None:
    listed = {model.id: model for model in client.models.list()}
    assert {"lead-1", "lead-3"} <= set(listed)
    assert listed["lead-1"].owned_by == "gistmill"
    assert listed["lead-1"].model_fields_set == set(Model.model_fields) - {"shutdown_date"}
    assert listed["lead-1"].created <= done.created_at
    assert client.models.retrieve("lead-1") == listed["lead-1"]
    with pytest.raises(NotFoundError):
        client.models.retrieve("nobody/such-model")


def test_completions_are_made_in_batches(client: OpenAI) -> None:
    with pytest.raises(BadRequestError, match="/v1/batches"):
        client.chat.completions.create(model="lead-1", messages=[{"role": "user", "content": "A"}])


def test_a_system_message_is_the_prompt_of_a_model_that_chats(
    client: OpenAI, served: Served, tmp_path: Path
) -> None:
    folder = str(models.tiny_llama(tmp_path / "llama"))
    system = {"role": "system", "content": "Sum this up:"}
    parts = [{"type": "text", "text": "The mill grinds"}, {"type": "text", "text": "slowly."}]
    earlier = [{"role": "user", "content": "A"}, {"role": "assistant", "content": "B"}]
    messages = [system, *earlier, {"role": "user", "content": parts}]
    asked = {"max_tokens": 5, "temperature": 0, "seed": 3}
    batch = over(
        client, create(client, lines([request(0, "", model=folder, messages=messages, **asked)]))
    )
    assert batch.status == "completed", batch.errors
    [answer] = read(client, batch.output_file_id)
    body = answer["response"]["body"]
    assert 0 < body["usage"]["completion_tokens"] <= 5
    with served.mill.client() as own:
        [view] = own.jobs(labels={"batch": batch.id})
    assert view.prompt == "Sum this up:\n\n{text}"
    assert view.parameters
    assert view.parameters["max_new_tokens"] == 5
    assert view.parameters["seed"] == 3


def test_an_encoder_decoder_takes_the_document_alone(
    client: OpenAI, served: Served, tmp_path: Path
) -> None:
    folder = str(models.tiny_bart(tmp_path / "bart"))
    text = "The river rose; the bridge was closed."
    alone = [{"role": "user", "content": text}]
    told = [{"role": "system", "content": "You sum up."}, *alone]
    answers = []
    for messages in (alone, told):
        given = [request(0, "", model=folder, messages=messages)]
        batch = over(client, create(client, lines(given)))
        assert batch.status == "completed", batch.errors
        [answer] = read(client, batch.output_file_id)
        answers.append(answer["response"]["body"]["choices"][0]["message"]["content"])
    assert answers[0] == answers[1]
