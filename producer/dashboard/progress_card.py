"""How a job goes: documents and tokens over time, its shards, and who is at it."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from zoneinfo import ZoneInfo

from jobs.store.progress import AtWork, Bucket, Cell, Timeline
from producer.cli import output
from producer.dashboard import charts
from producer.dashboard.charts import Column
from producer.dashboard.elements import El
from producer.dashboard.look import Look, Picture
from producer.dashboard.parts import Part, card, counted, picture, when

# Of fewer a chart would say no more than a sentence.
_FEW_BUCKETS = 3
_LEGEND = (
    ("done", "done"),
    ("running", "running"),
    ("waiting", "waiting"),
    ("cancelled", "cut off"),
    ("failed", "some failed"),
)


Count = Callable[[Bucket], int]


@dataclass(frozen=True, slots=True)
class Worker:
    """One at the job, in words."""

    name: str
    device: str
    host: str
    holds: str
    since: str


class ProgressCard:
    """Charts change every few seconds, workers with each look."""

    def __init__(self, zone: ZoneInfo) -> None:
        self._zone = zone
        self._whole = El("div")
        with self._whole, card("Progress"):
            self._charts = Part[Timeline | None](self._chart)
            self._strip = Part[list[Cell]](_strip)
            self._workers = Part[list[Worker] | str](_workers)
        self._whole.set_visibility(False)

    def show(self, found: Picture) -> None:
        self._whole.set_visibility(bool(found.cells) and found.timeline is not None)
        self._charts.show(found.timeline)
        self._strip.show(found.cells)

    def show_workers(self, look: Look) -> None:
        if look.status.over:
            self._workers.show("Over: nobody holds any of it. Who made which part is not kept.")
        elif look.at_work:
            self._workers.show([self._worker(each) for each in look.at_work])
        else:
            self._workers.show("No worker holds any of it now.")

    def _worker(self, found: AtWork) -> Worker:
        shards = counted(found.shards, "shard")
        return Worker(
            name=found.name,
            device=found.device or "not known",
            host=found.host or "not known",
            holds=f"{shards}, {found.left:,} documents to do",
            since=when(found.since.timestamp(), self._zone) if found.since else "not known",
        )

    def _chart(self, found: Timeline | None) -> None:
        if found is None:
            return
        total = sum(each.documents for each in found.buckets)
        if len(found.buckets) < _FEW_BUCKETS:
            seconds = output.duration(found.width * len(found.buckets))
            El("p", f"{counted(total, 'document')} stored within {seconds}.", "muted")
            return
        with El("div", classes="charts"):
            self._one(found, "Documents", "documents", lambda each: each.documents)
            self._one(found, "Tokens read", "input tokens", lambda each: each.input_tokens)
            self._one(found, "Tokens written", "output tokens", lambda each: each.output_tokens)
        self._numbers(found)

    def _one(self, found: Timeline, title: str, unit: str, of: Count) -> None:
        width = output.duration(found.width)
        values = [of(each) for each in found.buckets]
        shown = [
            Column(value, f"{at}: {value:,} {unit}", _failed(bucket, unit))
            for value, at, bucket in zip(values, self._times(found), found.buckets, strict=True)
        ]
        said = (
            f"{title} over time: {sum(values):,} in all, at most {max(values):,} in {width}; "
            "the numbers are in a table below"
        )
        with El("figure"):
            El("figcaption", f"{title} each {width}")
            ends = self._times(found)[0], self._times(found)[-1]
            picture(charts.columns(shown, said, ends, f"{max(values):,}"))

    def _times(self, found: Timeline) -> list[str]:
        start = found.start.timestamp()
        places = range(len(found.buckets))
        return [self._clock(start + place * found.width, found.width) for place in places]

    def _clock(self, at: float, width: float) -> str:
        then = datetime.fromtimestamp(at, self._zone)
        if width < 60:
            return f"{then:%H:%M:%S}"
        return f"{then:%H:%M}" if width < 3600 else f"{then:%d %b %H:%M}"

    def _numbers(self, found: Timeline) -> None:
        """The same for who does not see charts, or wants the numbers."""
        with El("details"):
            El("summary", "Numbers", "muted small")
            rows = [
                (at, each.documents, each.failed, each.input_tokens, each.output_tokens)
                for at, each in zip(self._times(found), found.buckets, strict=True)
            ]
            names = ("from", "documents", "failed", "tokens read", "tokens written")
            with El("div", classes="scroll"):
                picture(charts.table(names, rows))


def _failed(bucket: Bucket, unit: str) -> float:
    return bucket.failed / bucket.documents if unit == "documents" and bucket.documents else 0


def _strip(cells: list[Cell]) -> None:
    shards = cells[-1].last + 1 if cells else 0
    each = cells[0].shards if cells else 1
    note = f", {each:,} in each square" if each > 1 else ""
    with El("figure"):
        El("figcaption", f"{counted(shards, 'shard')}{note}")
        picture(charts.strip(cells))
        with El("div", classes="row legend small muted", aria_hidden="true"):
            for state, words in _LEGEND:
                with El("span"):
                    El("i", classes=f"square {state}")
                    El("span", words)


def _workers(found: list[Worker] | str) -> None:
    El("h3", "Workers")
    if isinstance(found, str):
        El("p", found, "muted")
        return
    with El("div", classes="scroll"), El("table", classes="plain-table"):
        with El("thead"), El("tr"):
            for name in ("worker", "device", "host", "holds", "since"):
                El("th", name, scope="col")
        with El("tbody"):
            for worker in found:
                with El("tr"):
                    El("td", worker.name, "mono")
                    for word in (worker.device, worker.host, worker.holds, worker.since):
                        El("td", word)
