"""What requests may say in their bodies, field by field.

Nothing is guessed: an unknown field is an error, and so is a number or a truth value that is
written as something else.
"""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, model_validator

from jobs.allowed_sources import is_url
from jobs.errors import NotAllowed, UsageError
from jobs.parameters import Dtype, Engine, LongDocuments
from jobs.sources.hub.names import is_id, is_url_of_hub
from producer.client import Client

_GIVEN = ("documents", "file", "source")


class Body(BaseModel):
    model_config = ConfigDict(
        extra="forbid", strict=True, frozen=True, allow_inf_nan=False, use_attribute_docstrings=True
    )


class JobRequest(Body):
    """A job to be submitted: a model, how it is to summarize, and exactly one of `documents`,
    `file` and `source`."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {"model": "lead-3", "documents": ["A long text.", "Another one."]},
                {
                    "model": "sshleifer/distilbart-cnn-6-6",
                    "documents": [{"id": "a1", "article": "A long text."}],
                    "text_column": "article",
                    "id_column": "id",
                    "num_beams": 4,
                    "labels": {"team": "press"},
                },
            ]
        }
    )

    model: Annotated[str, Field(min_length=1, max_length=1000)]
    """`lead-N`, `smollm2-135m`, `ORG/NAME[@REVISION]`, or the absolute path of a folder or a
    .gguf file below what the server's setting `allowed_sources` names."""
    documents: Annotated[list[str | dict[str, Any]], Field(min_length=1)] | None = None
    """Texts, or objects with a text in one of their columns."""
    file: str | None = None
    """The id of a file that was uploaded."""
    source: str | None = None
    """`ORG/NAME` of a dataset on the hub, or an absolute path, a pattern of paths or a URL below
    what the server's setting `allowed_sources` names."""

    name: str | None = None
    prompt: str | None = None
    """For models that follow instructions: `{text}` in it is the document."""
    engine: Engine = "auto"
    dtype: Dtype = "auto"
    text_column: str | None = None
    """Guessed where it is not named."""
    id_column: str | None = None
    """Guessed where it is not named; "" is for none."""
    reference_column: str | None = None
    """Guessed where it is not named; "" is for none."""
    split: str | None = None
    """Of a dataset; may be a slice, such as `test[:1000]`."""
    config: str | None = None
    """Of a dataset."""
    revision: str | None = None
    """Of a dataset: a branch, a tag or a commit."""
    shard_size: Annotated[int, Field(ge=1, le=1_000_000)] | None = None
    """Documents that are handed out together."""
    max_input_tokens: Annotated[int, Field(ge=1)] | None = None
    long_documents: LongDocuments = "truncate"
    num_beams: Annotated[int, Field(ge=1)] | None = None
    min_length: Annotated[int, Field(ge=0)] | None = None
    max_length: Annotated[int, Field(ge=1)] | None = None
    max_new_tokens: Annotated[int, Field(ge=1)] | None = None
    length_penalty: float | None = None
    no_repeat_ngram_size: Annotated[int, Field(ge=0)] | None = None
    seed: Annotated[int, Field(ge=0)] = 0
    generate: dict[str, Any] | None = None
    """Any other field of transformers' GenerationConfig."""
    labels: dict[str, str] | None = None
    priority: Annotated[int, Field(ge=-1000, le=1000)] = 0
    """Higher ones go first."""
    window: str | None = None
    """The hours in which it may run, as `22:00-06:00`."""
    deadline: str | None = None
    """`8h`, `07:00` or `2026-11-25T07:00+01:00`: what is not done by then is not done."""
    fair_by: str | None = None
    """A label: jobs are served fairly between its values."""
    max_error_rate: Annotated[float, Field(ge=0, lt=1)] | None = None
    """The job fails where a larger share of its documents does."""
    reuse: bool = True
    """Whether the same text is summarized once, for whichever document or job."""
    dry_run: bool = False
    """Only look into it: its report says how long it would take."""

    @model_validator(mode="after")
    def _one_source(self) -> "JobRequest":
        named = [name for name in _GIVEN if getattr(self, name) is not None]
        if len(named) != 1:
            found = " and ".join(named) or "none"
            raise ValueError(f"give exactly one of documents, file and source, not {found}")
        return self

    def options(self) -> dict[str, Any]:
        """As keywords of `Client.submit`."""
        return self.model_dump(exclude={*_GIVEN})


def located(client: Client, body: JobRequest) -> Any:
    """What `Client.submit` takes as the documents.

    Raises NotFound where there is no such file, NotAllowed where a source may not be named over
    HTTP, UsageError.
    """
    if body.file is not None:
        return client.file(body.file)
    if body.source is not None:
        return _named(client, body.source)
    given: Iterable[str | Mapping[str, Any]] = body.documents or []
    return given


def _named(client: Client, source: str) -> Any:
    """A dataset is one of the hub, whatever folder of that name the server was started beside."""
    if is_id(source):
        return f"hf://datasets/{source}"
    if client.settings.allowed_sources is None and not is_url_of_hub(source):
        raise NotAllowed(
            "source: over HTTP only datasets of the hub, ORG/NAME, may be named as long as the "
            "server's setting allowed_sources is not set; set it, or upload the file (POST "
            "/v1/files) and name its id as file"
        )
    if is_url(source):
        return source
    if not source.startswith("/"):
        raise UsageError("source: write an absolute path, a URL, or ORG/NAME of a dataset")
    return Path(source)
