"""The rows of the list of jobs: made once, then only what changed of them."""

from collections.abc import Awaitable, Callable
from datetime import datetime
from functools import partial

from producer.dashboard import verdict
from producer.dashboard.elements import El
from producer.status import JobStatusView

# What can be asked of a job in that status, and what is asked back first.
_VERBS = {
    "validating": ("cancel",),
    "in_progress": ("pause", "cancel"),
    "paused": ("resume", "cancel"),
}
_SURE = "() => confirm('Cancel this job? What is done is kept.') && emit()"

Change = Callable[[str, str], Awaitable[None]]
"""Of a job, by its id, to a verb."""


class Rows:
    """The list itself."""

    def __init__(self, may_change: bool, change: Change) -> None:
        self._list = El("ul", classes="jobs")
        self._rows: dict[str, _Row] = {}
        self._change = change if may_change else None

    def show(self, found: list[JobStatusView], now: datetime) -> None:
        gone = self._rows.keys() - {job.id for job in found}
        for job_id in gone:
            self._rows.pop(job_id).item.delete()
        for index, job in enumerate(found):
            row = self._rows.get(job.id)
            if row is None:
                with self._list:
                    row = self._rows[job.id] = _Row(job, self._change)
            if self._list.default_slot.children[index] is not row.item:
                row.item.move(target_index=index)
            row.show(job, now)
        self._list.set_visibility(bool(found))


class _Row:
    def __init__(self, job: JobStatusView, change: Change | None) -> None:
        self._id = job.id
        self._change = change
        self._status = ""
        with El("li") as self.item:
            with El("div", classes="job-name"):
                El("a", job.name or job.id, href=f"/jobs/{job.id}", data_row="")
                self._about = El("span", "", "muted small")
            with El("div", classes="job-says"):
                with El("div", classes="row"):
                    self._chip = El("span")
                    self._line = El("span", classes="verdict")
                with El("div", classes="progress", role="progressbar") as self._bar:
                    self._done = El("span")
            self._buttons = El("div", classes="row job-verbs")

    def show(self, job: JobStatusView, now: datetime) -> None:
        word, look = verdict.chip(job)
        self._chip.say(word)
        self._chip.classes(replace=f"chip {look}".strip())
        self._line.say(verdict.line(job, now))
        self._about.say(_about(job, now))
        self._progress(job)
        if job.status != self._status:
            self._status = job.status
            self._verbs()

    def _progress(self, job: JobStatusView) -> None:
        counts = job.counts
        runs = job.status in {"in_progress", "paused", "finalizing"} and bool(counts.total)
        self._bar.set_visibility(runs)
        if runs:
            share = round(100 * (counts.completed + counts.failed) / (counts.total or 1), 1)
            self._bar.put("aria_valuenow", share)
            self._bar.put("aria_label", "Documents done, percent")
            self._done.style(replace=f"width: {share}%")

    def _verbs(self) -> None:
        self._buttons.clear()
        if self._change is None:
            return
        with self._buttons:
            for verb in _VERBS.get(self._status, ()):
                button = El("button", verb.capitalize(), "button small", type="button")
                ask = partial(self._change, self._id, verb)
                if verb == "cancel":
                    button.on("click", ask, js_handler=_SURE)
                else:
                    button.on("click", ask)


def _about(job: JobStatusView, now: datetime) -> str:
    labels = [f"{key}={value}" for key, value in sorted(job.labels.items())]
    parts = [job.model, *labels, f"submitted {verdict.day_and_time(job.created_at, now)}"]
    return " · ".join(parts)
