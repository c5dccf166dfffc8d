"""Batches that are cut off, and whose they are: with the official client, and no worker but the
test."""

from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from openai import (
    AuthenticationError,
    BadRequestError,
    NotFoundError,
    OpenAI,
    PermissionDeniedError,
)
from openai.types import Batch

from jobs.broker import Broker
from jobs.database import Database
from jobs.errors import NotFound
from jobs.job import Row
from jobs.parameters import Effective
from jobs.store import batches, control, files, validations
from producer import dispatch
from tests.leases import KEY, LEASE, lease, stored
from tests.mill import Mill, sentences
from tests.openai_files import counts, create, lines, read, request, upload
from tests.serving import Served, serving

BEGUN = 8
"""Documents of a job's first shard."""


@pytest.fixture
def served(mill: Mill) -> Iterator[Served]:
    with serving(mill) as found:
        yield found


@contextmanager
def client_of(served: Served, key: str = "none") -> Iterator[OpenAI]:
    with OpenAI(base_url=f"{served.url}/v1", api_key=key, max_retries=0) as client:
        yield client


@pytest.fixture
def client(served: Served) -> Iterator[OpenAI]:
    with client_of(served) as made:
        yield made


@pytest.fixture
def begun(client: OpenAI, database: Database) -> Batch:
    """Its first shard is done, but for one document of it; the others wait."""
    given = [request(n, text) for n, text in enumerate(sentences(20))]
    batch = create(client, lines(given), window="90m")
    job_id = _job_of(database, batch)
    with database.transaction() as tx:
        validation = validations.lease(tx, job_id, "validator", LEASE)
        assert validation is not None
        assert validations.start(tx, validation, KEY, Effective())
    shard = lease(database)
    with database.transaction() as tx:
        assert stored(tx, shard, [_row(index) for index in range(BEGUN)], done=True)
    return client.batches.retrieve(batch.id)


def test_what_was_done_when_it_is_cancelled_is_kept(client: OpenAI, begun: Batch) -> None:
    assert begun.status == "in_progress"
    assert begun.output_file_id is begun.error_file_id is None
    cancelled = client.batches.cancel(begun.id)
    assert cancelled.status == "cancelled"
    assert cancelled.cancelling_at
    assert cancelled.cancelled_at
    _check_files(client, cancelled, "batch_cancelled")


def test_what_was_done_when_it_expires_is_kept(
    client: OpenAI, begun: Batch, database: Database, broker: Broker, mill: Mill
) -> None:
    assert begun.expires_at == begun.created_at + 90 * 60
    with database.transaction() as tx:
        tx.exec_driver_sql("UPDATE jobs SET deadline = clock_timestamp()")
    dispatch.fill(database, broker, mill.settings.timings)
    expired = client.batches.retrieve(begun.id)
    assert expired.status == "expired"
    assert expired.expired_at
    assert expired.errors is None
    _check_files(client, expired, "batch_expired")


def test_a_file_that_is_read_is_not_deleted(client: OpenAI, begun: Batch) -> None:
    with pytest.raises(BadRequestError, match="is not over"):
        client.files.delete(begun.input_file_id)
    client.batches.cancel(begun.id)
    with pytest.raises(BadRequestError, match="was cut off"):
        client.files.delete(begun.input_file_id)


def test_a_key_makes_one_batch(client: OpenAI) -> None:
    file = upload(client, lines([request(0, "A text.")]))

    def ask(key: str) -> Batch:
        return client.batches.create(
            input_file_id=file.id,
            endpoint="/v1/chat/completions",
            completion_window="24h",
            extra_headers={"Idempotency-Key": key},
        )

    first = ask("monday")
    assert ask("monday").id == first.id
    assert ask("tuesday").id != first.id
    assert len(client.batches.list().data) == 2
    file = upload(client, lines([request(0, "Another.")]))
    with pytest.raises(BadRequestError, match="choose another key"):
        ask("monday")


def test_a_file_that_is_gone_is_not_held(client: OpenAI, database: Database) -> None:
    file = upload(client, lines([request(0, "A text.")]))
    with database.transaction() as tx:
        files.hold(tx, file.id)
    client.files.delete(file.id)
    with database.transaction() as tx, pytest.raises(NotFound):
        files.hold(tx, file.id)


def test_a_pause_is_no_state_of_theirs(client: OpenAI, begun: Batch, database: Database) -> None:
    with database.transaction() as tx:
        assert control.pause(tx, _job_of(database, begun))
    assert client.batches.retrieve(begun.id).status == "in_progress"


def test_what_is_taken_up_again_goes_on(client: OpenAI, begun: Batch, database: Database) -> None:
    cancelled = client.batches.cancel(begun.id)
    assert cancelled.error_file_id
    assert client.files.retrieve(cancelled.error_file_id)
    with database.transaction() as tx:
        assert control.retry(tx, _job_of(database, begun), None)
    again = client.batches.retrieve(begun.id)
    assert again.status == "in_progress"
    assert again.in_progress_at
    assert again.cancelled_at is again.cancelling_at is None
    assert again.output_file_id is None
    with pytest.raises(NotFoundError):
        client.files.content(cancelled.error_file_id)


def test_a_batch_goes_with_its_job(client: OpenAI, begun: Batch, database: Database) -> None:
    client.batches.cancel(begun.id)
    with database.transaction() as tx:
        control.purge(tx, [_job_of(database, begun)])
    with pytest.raises(NotFoundError):
        client.batches.retrieve(begun.id)


def test_a_refused_batch_goes_with_its_age(client: OpenAI, mill: Mill) -> None:
    refused = create(client, b"nonsense")
    assert refused.status == "failed"
    with mill.client() as own:
        own.purge(3600)
        assert client.batches.retrieve(refused.id) == refused
        own.purge(0)
    with pytest.raises(NotFoundError):
        client.batches.retrieve(refused.id)


def test_who_sees_what(served: Served) -> None:
    ann, bob = served.token("submit", name="ann"), served.token("submit", name="bob")
    reads = served.token("read", name="carl")
    content = lines([request(0, "A text.")])
    with client_of(served, "unknown") as stranger, pytest.raises(AuthenticationError) as refused:
        stranger.batches.list()
    assert refused.value.code == "invalid_api_key"
    with client_of(served, ann) as owner, client_of(served, bob) as other:
        batch = create(owner, content)
        assert [each.id for each in owner.batches.list()] == [batch.id]
        assert batch.id not in {each.id for each in other.batches.list()}
        assert other.models.list().data != []
        for ask in (other.batches.retrieve, other.batches.cancel):
            with pytest.raises(NotFoundError):
                ask(batch.id)
        for look in (other.files.retrieve, other.files.content, other.files.delete):
            with pytest.raises(NotFoundError):
                look(batch.input_file_id)
        with pytest.raises(NotFoundError):
            other.batches.create(
                input_file_id=batch.input_file_id,
                endpoint="/v1/chat/completions",
                completion_window="24h",
            )
        owner.batches.cancel(batch.id)
        cancelled = owner.batches.retrieve(batch.id)
        assert cancelled.error_file_id
        with pytest.raises(NotFoundError):
            other.files.content(cancelled.error_file_id)
    with client_of(served, reads) as reader, pytest.raises(PermissionDeniedError):
        create(reader, content)


def _check_files(client: OpenAI, batch: Batch, code: str) -> None:
    """Two are done, one failed, and the others say why they were not done; all in order."""
    assert counts(batch) == (20, BEGUN - 1, 1)
    done = [f"request-{number}" for number in range(BEGUN) if number != 3]
    assert [each["custom_id"] for each in read(client, batch.output_file_id)] == done
    errors = read(client, batch.error_file_id)
    assert [each["custom_id"] for each in errors] == [
        "request-3",
        *(f"request-{number}" for number in range(BEGUN, 20)),
    ]
    codes = [each["error"]["code"] for each in errors]
    assert codes == ["too_long", *[code] * (20 - BEGUN)]
    assert batch.error_file_id
    file = client.files.retrieve(batch.error_file_id)
    assert file.bytes == len(client.files.content(file.id).content)


def _row(index: int) -> Row:
    name = f"request-{index}"
    if index == 3:
        return Row(index, name, None, 5, 0, False, None, "too_long", "too long", None)
    return Row(index, name, "A summary.", 5, 2, False, "stop", None, None, None)


def _job_of(database: Database, batch: Batch) -> str:
    with database.transaction() as tx:
        found = batches.get(tx, batch.id, None).job_id
    assert found
    return found
