"""What errors and logs leave out: documents, which only SQL holds."""

import logging
import traceback
from collections.abc import Sequence
from pathlib import Path
from typing import NoReturn

import pytest
from sqlalchemy import text

from jobs.allowed_sources import Allowed
from jobs.broker import Broker
from jobs.database import Database
from jobs.documents import Columns
from jobs.errors import JobError
from jobs.job import ModelKey
from jobs.parameters import Effective, Parameters
from jobs.settings import Settings
from jobs.sources import Sources
from jobs.store import summaries, validations
from producer.submit import Request, from_python, submit_documents
from tests.conftest import TIMINGS
from tests.models import CHAT_TEMPLATE, tiny_llama
from worker import models
from worker.engines import Generated
from worker.engines.lead import LeadEngine
from worker.heartbeat import Heartbeat
from worker.pipeline import Pipeline

CANARY = "kanarienvogel"
KEY = ModelKey("lead-1", "1", "lead", None)


class _Quoting(LeadEngine):
    """Says what it was given as it fails."""

    def generate(
        self, batch: Sequence[list[int]], effective: Effective, seeds: Sequence[int]
    ) -> NoReturn:
        texts = self.decode([Generated(ids, len(ids), "stop") for ids in batch])
        raise ValueError(f"can not read {texts}")


def test_what_a_refusing_model_quotes_stands_in_its_row_alone(
    database: Database,
    broker: Broker,
    configured: Settings,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
) -> None:
    given = from_python([f"One {CANARY}."], Columns())
    job_id = submit_documents(database, Request(model="lead-1"), given).job_id
    with database.transaction() as tx:
        validation = validations.lease(tx, job_id, "me", 60)
        assert validation is not None
        validations.start(tx, validation, KEY, Effective())
        shard_id = tx.execute(text("SELECT min(id) FROM shards")).scalar_one()
    assert configured.database_url
    heartbeat = Heartbeat(Database(configured.database_url), TIMINGS, tmp_path / "drain")
    pipeline = Pipeline(
        database=database,
        broker=broker,
        heartbeat=heartbeat,
        load_engine=lambda _key: _Quoting(1),
        worker="me",
        timings=TIMINGS,
        sources=Sources(database, Allowed(None)),
    )
    with caplog.at_level(logging.DEBUG):
        pipeline.summarize(shard_id)
    told = " ".join(str(vars(record)) + record.getMessage() for record in caplog.records)
    assert "generation_failed" in told
    assert CANARY not in told
    with database.transaction() as tx:
        [failures] = summaries.failures(tx, job_id, 1)
    assert CANARY in str(failures.samples)


def test_what_a_chat_template_quotes_is_told_nowhere(tmp_path: Path) -> None:
    """Nor by a traceback: the job fails with the kind of the error."""
    model = tiny_llama(tmp_path / "quoting")
    quoting = "{{ raise_exception('no: ' + messages[0]['content']) }}"
    template = f"{{% if '{CANARY}' in messages[0]['content'] %}}{quoting}{{% endif %}}"
    (model / "chat_template.jinja").write_text(template + CHAT_TEMPLATE)
    resolved = models.resolve(str(model), tmp_path)
    effective = models.settle(resolved, Parameters(), None)
    with pytest.raises(JobError, match="can not be filled in: TemplateError") as caught:
        models.lengths(resolved, [f"One {CANARY}."], effective)
    assert caught.value.code == "model_unreadable"
    assert CANARY not in "".join(traceback.format_exception(caught.value))
    with pytest.raises(JobError, match="can not be filled in"):
        models.settle(resolved, Parameters(), CANARY)


def test_an_error_of_sql_is_told_without_its_values(database: Database) -> None:
    with pytest.raises(Exception, match="division by zero") as caught, database.transaction() as tx:
        tx.execute(text("SELECT 1 / 0 WHERE :document <> ''"), {"document": CANARY})
    assert CANARY not in str(caught.value)
