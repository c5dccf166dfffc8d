"""Uploads that lie in a store that speaks S3, on loopback, through a running mill."""

from collections.abc import Iterator

import pytest
from openai import NotFoundError, OpenAI
from openai.types import Batch

from jobs.services import Endpoints
from tests import s3
from tests.conftest import mill_of_its_own
from tests.mill import Mill, sentences
from tests.openai_files import counts, lines, over, read, request, upload
from tests.s3 import Store
from tests.serving import serving


@pytest.fixture(scope="module")
def store() -> Iterator[Store]:
    with s3.store() as found:
        yield found


@pytest.fixture(scope="module")
def client(
    endpoints: Endpoints, migrated: str, store: Store, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[OpenAI]:
    folder = tmp_path_factory.mktemp("mill")
    with mill_of_its_own(endpoints, migrated, folder) as configured:
        mill = Mill(configured.model_copy(update={"uploads": f"s3://{s3.BUCKET}/uploads"}), folder)
        mill.dispatcher()
        mill.worker()
        with (
            serving(mill) as served,
            OpenAI(base_url=f"{served.url}/v1", api_key="none", max_retries=0) as made,
        ):
            yield made
        mill.stop()
        print(mill.logs())


def create_of(client: OpenAI, file_id: str) -> Batch:
    return client.batches.create(
        input_file_id=file_id, endpoint="/v1/chat/completions", completion_window="24h"
    )


def test_a_batch_from_a_file_that_lies_there(client: OpenAI, store: Store) -> None:
    content = lines(request(n, text) for n, text in enumerate(sentences(20)))
    file = upload(client, content)
    assert store.files().cat(f"s3://{s3.BUCKET}/uploads/{file.id}.jsonl") == content
    assert client.files.content(file.id).content == content
    done = over(client, create_of(client, file.id))
    assert counts(done) == (20, 20, 0)
    assert len(read(client, done.output_file_id)) == 20
    client.files.delete(file.id)
    store.files().invalidate_cache()
    assert not store.files().exists(f"s3://{s3.BUCKET}/uploads/{file.id}.jsonl")


def test_what_is_gone_there_is_said(client: OpenAI, store: Store) -> None:
    file = upload(client, lines([request(0, "A text.")]))
    store.files().rm_file(f"s3://{s3.BUCKET}/uploads/{file.id}.jsonl")
    with pytest.raises(NotFoundError, match="not there any more"):
        client.files.content(file.id)
    with pytest.raises(NotFoundError, match="not there any more"):
        create_of(client, file.id)
    client.files.delete(file.id)
