"""What comes back: lists, and result rows. A job is `producer.status.JobStatusView` everywhere."""

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict

from producer.status import JobStatusView


class View(BaseModel):
    model_config = ConfigDict(use_attribute_docstrings=True)


class Jobs(View):
    """A page of jobs, the newest first."""

    object: Literal["list"] = "list"
    data: list[JobStatusView]
    first_id: str | None
    last_id: str | None
    """The one that `before` takes for the page after this."""
    has_more: bool


def jobs(found: list[JobStatusView], limit: int) -> Jobs:
    """`found` are `limit` at most, and one more where there are more."""
    page = found[:limit]
    return Jobs(
        data=page,
        first_id=page[0].id if page else None,
        last_id=page[-1].id if page else None,
        has_more=len(found) > limit,
    )


class WhyFailed(View):
    code: str
    """One of docs/errors.md."""
    message: str


class ResultRow(View):
    """One document's outcome. `summary` is null exactly where `error` is not."""

    index: int
    id: str | None
    summary: str | None
    input_tokens: int
    output_tokens: int
    truncated: bool
    finish_reason: Literal["stop", "length"] | None
    depth: int
    spans: list[tuple[int, int]] | None
    error: WhyFailed | None
    reference: str | None


class Results(View):
    """A page of rows, in order of index."""

    object: Literal["list"] = "list"
    data: list[ResultRow] | list[dict[str, Any]]
    """Result rows, or those of the source with their summaries."""
    last_index: int | None
    """The one that `after` takes for the page after this."""
    has_more: bool
