"""What a dry run found, beside the form that asked for it."""

from typing import Any

from nicegui import ui
from starlette.concurrency import run_in_threadpool

from jobs.errors import GistmillError
from producer.cli.output import counted, forecast
from producer.dashboard.elements import El
from producer.dashboard.visitors import Visitor
from producer.status import JobStatusView

_EVERY = 0.5

_FATES = {
    "truncate": "will be cut",
    "map-reduce": "will be done in parts",
    "fail": "will count as failed",
}


class Report:
    """The panel: empty at first, then that of the last dry run."""

    def __init__(self, visitor: Visitor) -> None:
        self._visitor = visitor
        self._job_id: str | None = None
        self._panel = El("aside", classes="card stack report", aria_label="Dry run")
        with self._panel:
            El("h2", "Dry run")
            El(
                "p",
                "Looks at the model and a sample of the documents, and says what would come of it. "
                "Nothing is summarized.",
                "muted",
            )
        self._timer = ui.timer(_EVERY, self._look, active=False)

    def of(self, job_id: str) -> None:
        """Show that of this dry run, as soon as it is there."""
        self._job_id = job_id
        self._says("Looking at the model and the documents…")
        self._timer.activate()

    async def _look(self) -> None:
        asked = self._job_id
        if asked is None:
            return
        try:
            job = await run_in_threadpool(lambda: self._visitor.client.job(asked).status())
        except GistmillError as error:
            self._end()
            self._says(str(error), "error")
            return
        if asked != self._job_id:
            return
        if job.over:
            self._end()
            self._show(job)
        elif job.note:
            self._says(f"Waiting: {job.note['message']}")

    def _end(self) -> None:
        self._job_id = None
        self._timer.deactivate()

    def _says(self, text: str, classes: str = "muted") -> None:
        self._panel.clear()
        with self._panel:
            El("h2", "Dry run")
            El("p", text, classes, role="status")

    def _show(self, job: JobStatusView) -> None:
        if job.report is None:
            self._says((job.error or {}).get("message", f"It is {job.status}."), "error")
            return
        self._panel.clear()
        with self._panel:
            El("h2", "Dry run")
            found(job, job.report)


def found(job: JobStatusView, report: dict[str, Any]) -> None:
    """What a dry run's report says; also on the job's own page."""
    _verdict(job)
    _columns(job.source)
    _sample(report["sample"], report["parameters"]["long_documents"]["value"])
    _prompt(report["prompt"])
    _parameters(report["parameters"])


def _verdict(job: JobStatusView) -> None:
    El("p", f"{counted(job.counts.total or 0, 'document')} for {job.model}", "big")
    if job.forecast is not None:
        said = forecast(job.forecast)
        El("p", said[:1].upper() + said[1:] + ".")
    else:
        El("p", "How long it takes is not known: this model has done nothing here yet.", "muted")


def _columns(source: dict[str, Any]) -> None:
    columns, guessed = source.get("columns") or {}, source.get("guessed", [])
    named = [(what, columns[what]) for what in ("text", "id", "reference") if columns.get(what)]
    if not named:
        return
    with El("dl", classes="facts"):
        for what, column in named:
            El("dt", f"{what.capitalize()} column")
            with El("dd"):
                El("code", column)
                if what in guessed:
                    El("span", " guessed", "muted small")


def _sample(sample: dict[str, Any], long_documents: str) -> None:
    seen = sample["documents"]
    El("h3", f"In a sample of {counted(seen, 'document')}")
    with El("dl", classes="facts"):
        for code, count in sample["bad"].items():
            _fact(f"can not be used: {code}", _share(count, seen))
        _fact(f"too long, {_FATES[long_documents]}", _share(sample["too_long"], seen))
        _fact("repeat an earlier one", _share(sample["duplicates"], seen))
        tokens = sample["input_tokens"]
        if tokens is not None:
            _fact("tokens, in the middle", f"{tokens['median']:,}")
            _fact("tokens, from and to", f"{tokens['min']:,} to {tokens['max']:,}")
    _histogram(sample["histogram"])


def _histogram(bars: list[dict[str, int]]) -> None:
    """Documents by their tokens."""
    filled = [index for index, each in enumerate(bars) if each["documents"]]
    if len(filled) < 2:
        return
    bars = bars[filled[0] : filled[-1] + 1]
    most = max(each["documents"] for each in bars)
    with El("div", classes="bars", role="img", aria_label="Documents by their tokens"):
        for each in bars:
            first, last = each["from"], each["to"] - 1
            El("span", f"{first:,}" if first == last else f"{first:,}-{last:,}", "numbers small")
            with El("span", classes="track"):
                El("span").style(f"width: {100 * each['documents'] / most:.1f}%")
            El("span", f"{each['documents']:,}", "numbers small muted")


def _prompt(prompt: str | None) -> None:
    if prompt is None:
        return
    with El("details"):
        El("summary", "The first document, as the model reads it")
        El("pre", prompt, "well")


def _parameters(parameters: dict[str, dict[str, Any]]) -> None:
    with El("details"):
        El("summary", "Parameters, and who decided them")
        with El("dl", classes="facts"):
            for name, found in sorted(parameters.items()):
                value = "none" if found["value"] is None else str(found["value"])
                _fact(name, f"{value} ({found['from']})")


def _fact(what: str, value: str) -> None:
    El("dt", what)
    El("dd", value)


def _share(count: int, of: int) -> str:
    return f"{count:,} ({100 * count / of:.1f} %)" if count else "none"
