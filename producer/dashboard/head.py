"""The top of a job's page: how it ended or goes, in one line; what is wrong; its figures."""

from datetime import datetime
from time import time
from zoneinfo import ZoneInfo

from jobs.states import JobStatus
from producer.cli import output
from producer.dashboard import verdict
from producer.dashboard.elements import El
from producer.dashboard.look import Look
from producer.dashboard.parts import Part, counted, when
from producer.status import JobStatusView


class Head:
    """Words of it change in place; only what is wrong comes and goes."""

    def __init__(self, look: Look, zone: ZoneInfo) -> None:
        self._zone = zone
        status = look.status
        with El("header", classes="stack head"):
            with El("div", classes="row"):
                El("h1", status.name or status.id)
                self._chip = El("span", classes="chip")
            self._verdict = El("p", classes="verdict", role="status")
            with El("div", classes="progress", role="progressbar", aria_label="Progress") as bar:
                self._bar, self._filled = bar, El("span")
            self._counts = El("p", classes="muted")
            self._wrong = Part(_wrong)
        self.show(look)

    def show(self, look: Look) -> None:
        status = look.status
        word, kind = verdict.chip(status)
        self._chip.say(word)
        self._chip.classes(replace=f"chip {kind}")
        self._verdict.say(verdict.line(status, datetime.now(self._zone)))
        done = status.counts.completed + status.counts.failed
        share = 100 * done / status.counts.total if status.counts.total else 0
        self._bar.put("aria_valuenow", str(round(share)))
        self._filled.put("style", f"width:{share:.2f}%")
        self._bar.set_visibility(not status.over and not status.dry_run)
        self._counts.say(_counts(status))
        self._wrong.show(_notices(look))


def _counts(status: JobStatusView) -> str:
    counts, usage = status.counts, status.usage
    known = [status.id, status.model, *([status.error["code"]] if status.error else [])]
    if counts.total is None or status.dry_run:
        return " · ".join(known)
    parts = [
        f"{counts.completed:,} of {counted(counts.total, 'document')} summarized",
        *([f"{counts.failed:,} failed"] if counts.failed else []),
        *([f"{counts.reused:,} reused"] if counts.reused else []),
    ]
    tokens = f"{usage.input_tokens:,} tokens read, {usage.output_tokens:,} written"
    return " · ".join([*known, ", ".join(parts), tokens])


def _notices(look: Look) -> list[tuple[str, str]]:
    """Classes and words."""
    status, found = look.status, []
    # Why it failed is in the line above.
    if status.error and status.status != JobStatus.FAILED:
        found.append(("notice bad", f"{status.error['code']}: {status.error['message']}"))
    if status.note:
        again = _next_try(status.note["next_try_at"])
        message = f"{status.note['code']}: {status.note['message']}"
        found.append(("notice", f"{message}; {again}"))
    if look.missing and not status.over:
        who = " and no ".join(look.missing)
        found.append(("notice", f"No {who} is alive: start them with gistmill up."))
    return found


def _next_try(at: float) -> str:
    """By the clock, so that it stays true while nobody looks."""
    return "trying again" if at <= time() else f"tried again in {output.duration(at - time())}"


def _wrong(notices: list[tuple[str, str]]) -> None:
    for classes, words in notices:
        El("p", words, classes, role="alert")


def times(status: JobStatusView, zone: ZoneInfo) -> list[tuple[str, str]]:
    """Of a job, by the visitor's clock."""
    known = [
        ("submitted", status.created_at),
        ("started", status.started_at),
        ("finished", status.finished_at),
        ("deadline", status.deadline),
    ]
    return [(name, when(at, zone)) for name, at in known if at is not None]
