"""Why documents of a job failed: by reason, each with some of them, to be done again."""

from dataclasses import dataclass
from zoneinfo import ZoneInfo

from jobs.store.summaries import Failures
from producer.dashboard.controls import Controls, retry_button
from producer.dashboard.elements import El
from producer.dashboard.parts import Part, card, counted, when


@dataclass(frozen=True, slots=True)
class Shown:
    groups: list[Failures]
    may_retry: bool


class FailuresCard:
    """Is not there while nothing has failed."""

    def __init__(self, controls: Controls, zone: ZoneInfo) -> None:
        self._controls, self._zone = controls, zone
        self._part = Part(self._make)

    def show(self, groups: list[Failures], *, may_retry: bool) -> None:
        self._part.show(Shown(groups, may_retry))

    def _make(self, shown: Shown) -> None:
        if not shown.groups:
            return
        total = sum(each.documents for each in shown.groups)
        with card("Failures", counted(total, "document")):
            for group in shown.groups:
                self._group(group, may_retry=shown.may_retry)

    def _group(self, group: Failures, *, may_retry: bool) -> None:
        first, last = (
            when(at.timestamp(), self._zone) for at in (group.first_seen, group.last_seen)
        )
        with El("div", classes="group stack"):
            with El("div", classes="row"):
                El("code", group.code, "chip bad")
                El("strong", counted(group.documents, "document"))
                El("span", first if first == last else f"{first} to {last}", "muted small")
                El("span", classes="spring")
                if may_retry:
                    retry_button(group.code, group.documents, self._controls)
            with El("ul", classes="messages"):
                for sample in group.samples:
                    with El("li"):
                        El("span", _name(sample["index"], sample["id"]), "muted")
                        El("span", sample["message"] or "")


def _name(index: int, identifier: str | None) -> str:
    return f"document {index:,}" if identifier is None else f"document {index:,} [{identifier}]"
