"""The page of one job: the verdict, then why, then samples; and how it goes while it runs.

One look every two seconds while it runs, its charts every ten; one every ten once it is over, as a
retry made anywhere brings it to life again. A page in the background does not look.
"""

from time import monotonic

from nicegui import ui
from nicegui.events import GenericEventArguments
from starlette.concurrency import run_in_threadpool

from jobs.errors import NotFound, Unreachable
from producer.dashboard import report
from producer.dashboard.controls import Controls
from producer.dashboard.elements import El
from producer.dashboard.failures import FailuresCard
from producer.dashboard.head import Head
from producer.dashboard.look import Look, Picture, look, picture
from producer.dashboard.parts import Part, card
from producer.dashboard.progress_card import ProgressCard
from producer.dashboard.quality import QualityCard
from producer.dashboard.recipe import RecipeCard
from producer.dashboard.samples_card import SamplesCard
from producer.dashboard.visitors import Visitor
from producer.job import Job
from producer.status import JobStatusView

_EVERY = 2.0
_CHARTS_EVERY = 10.0
_OVER_EVERY = 10.0

_STYLE = '<link rel="stylesheet" href="/static/job.css">'


async def show(visitor: Visitor, prefix: str) -> None:
    """Raises NotFound where the visitor sees no such job."""
    job = await run_in_threadpool(visitor.client.job, prefix)
    first = await run_in_threadpool(look, visitor.client, job.id)
    drawn = await run_in_threadpool(picture, visitor.client, job.id)
    ui.add_head_html(_STYLE)
    page = JobPage(visitor, job, first)
    page.draw(drawn)
    ui.timer(0.1, page.begin, once=True)


class JobPage:
    """The sections of one page that is open in one browser."""

    def __init__(self, visitor: Visitor, job: Job, first: Look) -> None:
        self._client, self._job_id = visitor.client, job.id
        self._last, self._gone = first, False
        self._drawn_at = self._looked_at = monotonic()
        self._head = Head(first, visitor.zone)
        self._trouble = El("p", classes="error", role="alert")
        self._controls = Controls(job, self.again, visitor.caller)
        self._controls.set_priority(first.status.priority)
        self._failures = FailuresCard(self._controls, visitor.zone)
        self._report = Part[JobStatusView](_dry_run)
        # While it runs, how it goes comes first; in the morning what came of it.
        if first.status.over:
            self._samples, self._quality = SamplesCard(self._client, job.id), QualityCard(job)
            self._progress = ProgressCard(visitor.zone)
        else:
            self._progress = ProgressCard(visitor.zone)
            self._samples, self._quality = SamplesCard(self._client, job.id), QualityCard(job)
        self._recipe = RecipeCard(visitor.zone)
        self._show(first)
        self._timer = ui.timer(_EVERY, self._tick, immediate=False)
        ui.on("seen", self._seen)

    async def begin(self) -> None:
        """What takes longer than a page should."""
        await self._samples.load()

    def draw(self, found: Picture) -> None:
        self._progress.show(found)
        status = self._last.status
        may_retry = self._controls.may_ask and status.over and not status.dry_run
        self._failures.show(found.failures, may_retry=may_retry)
        self._drawn_at = monotonic()

    async def again(self) -> None:
        """Something was asked of the job: look at once."""
        await self._look(charts=True)

    async def _tick(self) -> None:
        rests = self._last.status.over and not self._quality.waits
        if not rests:
            await self._look(charts=monotonic() - self._drawn_at >= _CHARTS_EVERY)
        elif monotonic() - self._looked_at >= _OVER_EVERY:
            await self._look(charts=False)

    def _seen(self, event: GenericEventArguments) -> None:
        """The page came to the front, or went to the background."""
        if event.args and not self._gone:
            self._timer.activate()
        else:
            self._timer.deactivate()

    async def _look(self, *, charts: bool) -> None:
        try:
            await self._look_now(charts=charts)
        except Unreachable as error:
            # The database is away: what is shown stays, and the next look may find it.
            self._trouble.say(f"{error}; asking again")
        except NotFound as error:
            self._gone = True
            self._timer.deactivate()
            self._trouble.say(str(error))
        else:
            self._trouble.say("")

    async def _look_now(self, *, charts: bool) -> None:
        before = self._last.status
        self._looked_at = monotonic()
        self._last = await run_in_threadpool(look, self._client, self._job_id)
        after = self._last.status
        # A retry made elsewhere may begin and end between two looks.
        turned = before.over != after.over or (after.over and before.counts != after.counts)
        self._show(self._last)
        if charts or turned:
            self.draw(await run_in_threadpool(picture, self._client, self._job_id))
        if (turned and after.over) or (after.counts.completed and not before.counts.completed):
            await self._samples.load()

    def _show(self, found: Look) -> None:
        self._head.show(found)
        self._controls.show(found.status)
        self._progress.show_workers(found)
        self._quality.show(found.status)
        self._recipe.show(found)
        self._report.show(found.status)


def _dry_run(status: JobStatusView) -> None:
    if status.report is not None:
        with card("Dry run", "nothing was summarized"), El("div", classes="stack column"):
            report.found(status, status.report)
