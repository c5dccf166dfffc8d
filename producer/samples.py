"""Some summaries of a job beside their documents and references, for people to read.

A bounded number of rows is looked at, however many there are: all of a small job, else rows
drawn by a seed, so that the same look shows the same. Nothing is written.
"""

from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass
from random import Random
from typing import TYPE_CHECKING, Any, Literal, get_args

from jobs.database import Database
from jobs.errors import GistmillError
from jobs.sources import Sources
from jobs.store import jobs, queueing, summaries
from producer import reading
from producer.evaluation.rouge import METRICS, Scorer

if TYPE_CHECKING:
    from producer.client import Client

Order = Literal["random", "longest", "lowest"]
"""`longest` summaries, and those of the `lowest` ROUGE-L."""
ORDERS: tuple[Order, ...] = get_args(Order)

_DRAWN = 2000
_OTHERWISE = "summaries and references are shown alone"
_ROUGE_L = METRICS.index("rougeL")
Row = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Sample:
    """A summary, with what it was made from."""

    index: int
    id: str | None
    text: str | None
    """None where the source can not be read any more."""
    summary: str
    reference: str | None
    rouge_l: float | None
    """0 to 100; None without a reference."""
    truncated: bool
    input_tokens: int
    output_tokens: int


@dataclass(frozen=True, slots=True)
class Samples:
    rows: list[Sample]
    drawn: int
    """Summaries that these were chosen from."""
    whole: bool
    """Whether those are all that are stored."""
    references: int
    """How many of the drawn ones have one."""
    problem: str | None
    """Why no documents are shown."""


def samples(
    client: "Client", job_id: str, order: Order, *, turn: int = 0, count: int = 3
) -> Samples:
    """`turn` is for other ones at random: the same turn shows the same.

    Raises NotFound.
    """
    random = Random(f"{job_id}:{turn}")  # noqa: S311 - no secret hangs on it
    found, whole = _drawn(client.database, job_id, random)
    made = [row for row in found if row["error"] is None]
    scores = _Scores()
    chosen = _chosen(made, order, scores, random, count)
    texts, problem = _texts(client, job_id, chosen)
    return Samples(
        [_sample(row, texts.get(row["index"]), scores) for row in chosen],
        drawn=len(made),
        whole=whole,
        references=sum(_reference(row) is not None for row in made),
        problem=problem,
    )


def _drawn(database: Database, job_id: str, random: Random) -> tuple[list[Row], bool]:
    """Rows that are stored, and whether those are all."""
    with database.transaction() as tx:
        total = jobs.get(tx, job_id).total or 0
        if total <= _DRAWN:
            return summaries.page(tx, job_id, -1, _DRAWN), True
        rows = [*summaries.at(tx, job_id, random.sample(range(total), _DRAWN)).values()]
        # Of a job that has just begun nearly all that is drawn is still to come.
        return (rows, False) if rows else (summaries.page(tx, job_id, -1, _DRAWN), False)


def _chosen(
    rows: Sequence[Row], order: Order, scores: "_Scores", random: Random, count: int
) -> list[Row]:
    if order == "random":
        chosen = random.sample(rows, min(count, len(rows)))
        return sorted(chosen, key=lambda row: row["index"])
    if order == "longest":
        return sorted(rows, key=lambda row: (-len(row["summary"]), row["index"]))[:count]
    scored = [(score, row) for row in rows if (score := scores.of(row)) is not None]
    return [row for _, row in sorted(scored, key=lambda each: (each[0], each[1]["index"]))[:count]]


def _texts(
    client: "Client", job_id: str, rows: Sequence[Row]
) -> tuple[dict[int, str | None], str | None]:
    """By index, as far as the source is there; and what is wrong where it is not."""
    try:
        with closing(client.sources()) as sources:
            return {
                row["index"]: _text(client, sources, job_id, row["index"]) for row in rows
            }, None
    except GistmillError as error:
        return {}, _public(client.database, job_id, str(error))


def _public(database: Database, job_id: str, words: str) -> str:
    """Without where the server keeps what was uploaded."""
    with database.transaction() as tx:
        source = jobs.get(tx, job_id).source
    place = source.get("path") or source.get("url")
    return words.replace(place, source["upload"]["id"]) if "upload" in source and place else words


def _text(client: "Client", sources: Sources, job_id: str, index: int) -> str | None:
    with client.database.transaction() as tx:
        (extent,) = queueing.extents(tx, job_id, index, 1)
    with reading.reading(_OTHERWISE):
        return sources.read(extent)[index - extent.start].text


def _sample(row: Row, text: str | None, scores: "_Scores") -> Sample:
    return Sample(
        index=row["index"],
        id=row["id"],
        text=text,
        summary=row["summary"],
        reference=_reference(row),
        rouge_l=scores.of(row),
        truncated=row["truncated"],
        input_tokens=row["input_tokens"],
        output_tokens=row["output_tokens"],
    )


def _reference(row: Row) -> str | None:
    given: str | None = row["reference"]
    return given if given and given.strip() else None


class _Scores:
    """ROUGE-L, 0 to 100, of rows that have a reference."""

    def __init__(self) -> None:
        self._scorer = Scorer()

    def of(self, row: Row) -> float | None:
        reference = _reference(row)
        if reference is None:
            return None
        read = self._scorer.read
        return 100 * self._scorer.score(read(reference), read(row["summary"]))[_ROUGE_L]
