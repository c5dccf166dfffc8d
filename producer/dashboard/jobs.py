"""The list of jobs: a line each, a hundred on a page, as they stand now.

What is asked for stands in the address, so that a list can be kept and sent. A page that is seen
asks once in two seconds; one in the background does not.
"""

from dataclasses import dataclass
from datetime import datetime
from urllib.parse import urlencode

from nicegui import ui
from starlette.concurrency import run_in_threadpool
from starlette.datastructures import QueryParams

from jobs.errors import GistmillError
from jobs.states import JobStatus
from producer.dashboard.elements import El
from producer.dashboard.job_rows import Rows
from producer.dashboard.visitors import Visitor
from producer.status import JobStatusView

PAGE = 100
"""Jobs."""

_EVERY = 2.0

_GROUPS: dict[str, tuple[JobStatus, ...]] = {
    "running": (
        JobStatus.VALIDATING,
        JobStatus.IN_PROGRESS,
        JobStatus.FINALIZING,
        JobStatus.CANCELLING,
    ),
    "paused": (JobStatus.PAUSED,),
    "done": (JobStatus.COMPLETED,),
    "failed": (JobStatus.FAILED, JobStatus.EXPIRED),
    "cancelled": (JobStatus.CANCELLED,),
}


@dataclass(frozen=True, slots=True)
class Asked:
    """Which jobs, by the address of the page."""

    status: str = ""
    text: str = ""
    label: str = ""
    before: str = ""

    @classmethod
    def of(cls, query: QueryParams) -> "Asked":
        found = {name: query.get(name, "").strip() for name in cls.__dataclass_fields__}
        if found["status"] not in _GROUPS:
            found["status"] = ""
        return cls(**found)

    @property
    def narrowed(self) -> bool:
        return bool(self.status or self.text or self.label)

    def labels(self) -> dict[str, str]:
        key, _, value = self.label.partition("=")
        return {key.strip(): value.strip()} if key else {}

    def address(self, before: str) -> str:
        """Of the page that begins after the job `before`; of the first one where it is empty."""
        names = {"status": self.status, "text": self.text, "label": self.label, "before": before}
        given = {name: value for name, value in names.items() if value}
        return "/?" + urlencode(given) if given else "/"


async def show(visitor: Visitor, query: QueryParams) -> None:
    """Raises NotFound where the page begins after a job that there is not."""
    asked = Asked.of(query)
    found, missing = await run_in_threadpool(_look, visitor, asked)
    with El("div", classes="row title"):
        El("h1", "Jobs")
        El("span", classes="spring")
        if visitor.may_submit:
            El("a", "New job", "button main", href="/submit")
    _filters(asked)
    _List(visitor, asked, found, missing)


def _look(visitor: Visitor, asked: Asked) -> tuple[list[JobStatusView], list[str]]:
    """One more than a page has, so that the last page is known."""
    client = visitor.client
    found = client.jobs(
        PAGE + 1,
        asked.labels(),
        statuses=_GROUPS.get(asked.status, ()),
        before=asked.before or None,
        containing=asked.text,
    )
    return found, client.missing()


def _filters(asked: Asked) -> None:
    with El("form", "", "filters", method="get", action="/", role="search"):
        El(
            "input", name="text", type="search", value=asked.text, data_filter="",
            placeholder="Name or model", aria_label="Name or model",
        )  # fmt: skip
        El(
            "input", name="label", value=asked.label, placeholder="Label, as in team=news",
            aria_label="Label",
        )  # fmt: skip
        with El("select", name="status", aria_label="Status", data_submits=""):
            El("option", "Any status", value="", selected=not asked.status)
            for each in _GROUPS:
                El("option", each.capitalize(), value=each, selected=each == asked.status)
        El("button", "Filter", "button")
        if asked.narrowed:
            El("a", "Show all", "button quiet", href="/")


class _List:
    """The part of the page that is asked for again and again."""

    def __init__(
        self, visitor: Visitor, asked: Asked, found: list[JobStatusView], missing: list[str]
    ) -> None:
        self._visitor = visitor
        self._asked = asked
        self._missing = El("p", "", "notice", role="status")
        self._lost = El("p", "", "notice bad", role="alert")
        self._lost.set_visibility(False)
        self._rows = Rows(visitor.may_submit, self._change)
        self._nothing = El("div", classes="card stack nothing")
        self._pages = El("nav", classes="row pages", aria_label="More jobs")
        self._shown: tuple[bool, str | None] | None = None
        self._say(found, missing)
        timer = ui.timer(_EVERY, self._again, immediate=False)
        ui.on("seen", lambda event: timer.activate() if event.args else timer.deactivate())

    async def _again(self) -> None:
        try:
            found, missing = await run_in_threadpool(_look, self._visitor, self._asked)
        except GistmillError as error:
            self._lost.say(f"This list is not up to date: {error}")
            self._lost.set_visibility(True)
            return
        self._lost.set_visibility(False)
        self._say(found, missing)

    def _say(self, found: list[JobStatusView], missing: list[str]) -> None:
        self._missing.say(_missing(missing))
        self._missing.set_visibility(bool(missing))
        page = found[:PAGE]
        self._rows.show(page, datetime.now(self._visitor.zone))
        more = page[-1].id if len(found) > PAGE else None
        if self._shown == (bool(page), more):
            return
        self._shown = (bool(page), more)
        self._nothing.set_visibility(not page)
        self._nothing.clear()
        self._pages.clear()
        with self._nothing:
            if not page:
                _nothing(self._asked, self._visitor)
        with self._pages:
            if self._asked.before:
                El("a", "Newest", "button", href=self._asked.address(""))
            if more:
                El("a", "Older", "button", href=self._asked.address(more))

    async def _change(self, job_id: str, verb: str) -> None:
        try:
            await run_in_threadpool(_ask, self._visitor, job_id, verb)
        except GistmillError as error:
            ui.notify(str(error), type="negative")
        await self._again()


def _ask(visitor: Visitor, job_id: str, verb: str) -> None:
    """Raises NotAllowed, and NotFound."""
    visitor.caller.require("submit")
    job = visitor.client.job(job_id)
    {"pause": job.pause, "resume": job.resume, "cancel": job.cancel}[verb]()


def _missing(missing: list[str]) -> str:
    if not missing:
        return ""
    return f"No {' and no '.join(missing)} is running, so jobs wait. Start them with: gistmill up"


def _nothing(asked: Asked, visitor: Visitor) -> None:
    if asked.narrowed or asked.before:
        El("h2", "No job fits")
        with El("div"):
            El("a", "Show all jobs", "button", href="/")
        return
    El("h2", "No jobs yet")
    if not visitor.may_submit:
        El("p", "Jobs that are submitted with your token are listed here.", "muted")
        return
    El(
        "p",
        "Paste a few texts, upload a file, or name a dataset: its summaries are here when they "
        "are done.",
        "muted",
    )
    with El("div", classes="row"):
        El("a", "Make the first job", "button main", href="/submit")
    with El("p", classes="muted small"):
        El("span", "Or try it with the documents that come along: ")
        El("code", "gistmill demo")
