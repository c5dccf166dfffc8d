"""`/v1/jobs/{id}/results`: a job's rows, streamed as they are read; also while it runs.

A stream that can not be read to its end is cut off, and so seen to be unfinished.
"""

import json
import os
from collections.abc import Iterator
from contextlib import ExitStack
from itertools import islice
from tempfile import TemporaryFile
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Query
from fastapi.responses import JSONResponse, Response, StreamingResponse

from jobs.errors import UsageError
from producer import formats
from producer.api.apart import Apart
from producer.api.guard import Reading
from producer.listings import Numbered

router = APIRouter(prefix="/v1/jobs/{job_id}", tags=["results"])

# A Parquet file is written before the first byte of it is sent.
_begun = Apart(4)

_STATUS = "X-Gistmill-Status"
_PAGE = 1000
_PIECE = 1 << 16
"""Bytes: each piece that is sent takes a turn of a thread."""
_TYPES = {
    "ndjson": "application/x-ndjson",
    "csv": "text/csv; charset=utf-8",
    "parquet": "application/vnd.apache.parquet",
}
_BYTES = {"type": "string"}
_ENDINGS = {"ndjson": "jsonl", "csv": "csv", "parquet": "parquet"}


@router.get(
    "/results",
    response_class=StreamingResponse,
    responses={
        200: {
            "content": {
                "application/json": {"schema": {"$ref": "#/components/schemas/Results"}},
                **{
                    kind.partition(";")[0]: {"schema": {"type": "string"}}
                    for kind in _TYPES.values()
                },
            }
        }
    },
)
@_begun
def get_results(
    client: Reading,
    job_id: str,
    format: Literal["ndjson", "json", "csv", "parquet"] = "ndjson",  # noqa: A002 - the query's name
    join: bool = False,
    summary_column: str | None = None,
    after: Annotated[int, Query(ge=-1, le=2**53)] = -1,
    limit: Annotated[int, Query(ge=1, le=2**53)] | None = None,
) -> Response:
    """The rows in order of index, failed documents included; of a running job, what is stored.

    `ndjson`, `csv` and `parquet` are all of them unless there is a `limit`, `json` is a page. With
    `join` they are the source's own columns, with the summary beside them.
    """
    job = client.job(job_id)
    if summary_column is not None and not join:
        raise UsageError("summary_column names a column beside the source's: add join=true")
    headers = {_STATUS: job.status().status}
    if format in _ENDINGS:
        name = f"{job.id}{'-joined' if join else ''}.{_ENDINGS[format]}"
        headers["Content-Disposition"] = f'attachment; filename="{name}"'
    with ExitStack() as stack:
        listing = stack.enter_context(
            client.here.listing(job.id, join=join, summary_column=summary_column)
        )
        if format == "json":
            return JSONResponse(_page(listing, after, min(limit or _PAGE, _PAGE)), headers=headers)
        rows = (row for _, row in islice(listing.numbered(after), limit))
        pieces = _first_read(_pieces(listing, rows, format), stack)
        return StreamingResponse(pieces, media_type=_TYPES[format], headers=headers)


def _page(listing: Numbered, after: int, limit: int) -> dict[str, Any]:
    found = list(islice(listing.numbered(after), limit + 1))
    page = found[:limit]
    return {
        "object": "list",
        "data": [json.loads(formats.as_json(row)) for _, row in page],
        "last_index": page[-1][0] if page else None,
        "has_more": len(found) > limit,
    }


def _pieces(listing: Numbered, rows: Iterator[formats.Row], form: str) -> Iterator[bytes]:
    if form == "ndjson":
        return _gathered(formats.json_lines(rows, listing))
    if form == "csv":
        return _gathered(formats.csv_lines(rows, listing))
    return _parquet(listing, rows)


def _gathered(lines: Iterator[bytes]) -> Iterator[bytes]:
    """Many in a piece."""
    piece = bytearray()
    for line in lines:
        piece += line
        if len(piece) >= _PIECE:
            yield bytes(piece)
            piece.clear()
    if piece:
        yield bytes(piece)


def _parquet(listing: Numbered, rows: Iterator[formats.Row]) -> Iterator[bytes]:
    """Written to a file of no name first: its end says what is in it."""
    with TemporaryFile() as file:
        formats.WRITERS["parquet"](rows, file, listing)
        file.seek(0, os.SEEK_SET)
        while piece := file.read(_PIECE):
            yield piece


def _first_read(pieces: Iterator[bytes], stack: ExitStack) -> Iterator[bytes]:
    """The same, the first of them read already: what is wrong with a source is an answer then."""
    first = next(pieces, None)
    held = stack.pop_all()

    def all_of_them() -> Iterator[bytes]:
        with held:
            if first is not None:
                yield first
                yield from pieces

    return all_of_them()
