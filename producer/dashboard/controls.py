"""What may be asked of a job: pause, resume, cancel, retry, priority; and its downloads.

Each button is there while it means something. What can not be undone asks first.
"""

from collections.abc import Awaitable, Callable
from functools import partial

from nicegui import ui
from nicegui.events import GenericEventArguments
from starlette.concurrency import run_in_threadpool

from jobs.callers import Caller
from jobs.errors import GistmillError
from jobs.states import JOB_UNFINISHED, JobStatus
from jobs.store.endings import TOO_MANY_FAILURES
from producer.dashboard.elements import El
from producer.dashboard.parts import counted
from producer.job import Job
from producer.status import JobStatusView

Again = Callable[[], Awaitable[None]]
"""Looks at the job again, as something was asked of it."""

_DOWNLOADS = (
    ("JSON lines", "format=ndjson"),
    ("CSV", "format=csv"),
    ("Parquet", "format=parquet"),
    ("Parquet, with the source", "format=parquet&join=true"),
)
"""What to call it, and how to ask for it. The answer names the file."""


class Controls:
    """A row of buttons, which come and go with the state of the job."""

    def __init__(self, job: Job, again: Again, caller: Caller) -> None:
        self._job, self._again, self._caller = job, again, caller
        self.may_ask = caller.may("submit")
        with El("div", classes="row controls", role="group", aria_label="Actions"):
            self._pause = button("Pause", partial(self._ask, job.pause))
            self._resume = button("Resume", partial(self._ask, job.resume), "button main")
            self._retry = button("Retry", partial(self._ask, job.retry))
            self._cancel = button("Cancel", self._confirm_cancel, "button danger")
            self._priority = self._make_priority()
            self._downloads = El("details", classes="menu")
            with self._downloads:
                El("summary", "Download", "button")
                _downloads(job.id)
        self._problem = El("p", classes="error", role="alert")

    def show(self, status: JobStatusView) -> None:
        can, unfinished = self.may_ask, status.status in JOB_UNFINISHED
        stopped = bool(status.error) and (status.error or {}).get("code") == TOO_MANY_FAILURES
        pending = status.counts.pending or 0
        again = status.counts.failed + (pending if status.over else 0)
        self._pause.set_visibility(can and status.status == JobStatus.IN_PROGRESS)
        self._resume.set_visibility(can and (status.status == JobStatus.PAUSED or stopped))
        self._retry.set_visibility(can and status.over and not status.dry_run and again > 0)
        self._retry.say(_retry_words(status.counts.failed, pending))
        self._cancel.set_visibility(can and unfinished)
        self._priority.set_visibility(can and unfinished)
        self._downloads.set_visibility(bool(status.counts.completed + status.counts.failed))

    async def retry(self, code: str | None) -> None:
        """The failed documents of one error code, or all."""
        await self._ask(partial(self._job.retry, code))

    def _make_priority(self) -> El:
        with El("label", "Priority", "row priority") as label:
            self._number = El("input", type="number", min="-1000", max="1000", step="1", value="0")
            self._number.on("change", self._set_priority, js_handler="(e) => emit(e.target.value)")
        return label

    def set_priority(self, number: int) -> None:
        """Show it; once, as a visitor may be writing another."""
        self._number.put("value", str(number))

    async def _set_priority(self, given: GenericEventArguments) -> None:
        try:
            number = int(str(given.args))
        except ValueError:
            self._problem.say("priority: write a whole number from -1000 to 1000")
            return
        await self._ask(partial(self._job.set_priority, number))

    async def _confirm_cancel(self) -> None:
        words = "What is done is kept; what is not is given up. A retry takes it up again."
        if await confirmed("Cancel this job?", words, "Cancel the job", "Let it go on"):
            await self._ask(self._job.cancel)

    async def _ask(self, what: Callable[[], object]) -> None:
        self._problem.say("")
        try:
            # A browser may press what is not shown.
            self._caller.require("submit")
            await run_in_threadpool(what)
        except GistmillError as error:
            self._problem.say(str(error))
        await self._again()


def button(words: str, pressed: Callable[[], Awaitable[None]], classes: str = "button") -> El:
    made = El("button", words, classes, type="button")
    made.on("click", pressed, args=[])
    return made


async def confirmed(title: str, words: str, yes: str, no: str) -> bool:
    """Whether the visitor says so."""
    with ui.dialog() as asking, El("div", classes="card stack", role="document"):
        El("h2", title)
        El("p", words)
        with El("div", classes="row"):
            El("button", yes, "button danger", type="button").on(
                "click", lambda: asking.submit(yes), args=[]
            )
            El("button", no, "button", type="button", autofocus="").on(
                "click", lambda: asking.submit(no), args=[]
            )
    answer = await asking
    asking.delete()
    return bool(answer == yes)


def _retry_words(failed: int, pending: int) -> str:
    what = " and ".join(
        [
            *([f"{failed:,} failed"] if failed else []),
            *([f"{pending:,} unfinished"] if pending else []),
        ]
    )
    return f"Retry all: {what}"


def _downloads(job_id: str) -> None:
    with El("div", classes="card stack menu-items"):
        for words, query in _DOWNLOADS:
            El("a", words, href=f"/v1/jobs/{job_id}/results?{query}", download="")


def retry_button(code: str, documents: int, controls: Controls) -> None:
    button(
        f"Retry these {documents:,}" if documents > 1 else "Retry this one",
        partial(controls.retry, code),
        "button small",
    ).put("aria_label", f"Retry {counted(documents, 'document')} failed with {code}")
