"""Is it any good: what an evaluation found, or how far it is, or a button that begins one."""

from dataclasses import dataclass

from jobs.states import JobStatus
from producer.cli.evaluation import METRICS
from producer.dashboard import charts
from producer.dashboard.controls import button
from producer.dashboard.elements import El
from producer.dashboard.evaluations import Evaluations, Running
from producer.dashboard.parts import Part, card, counted, picture
from producer.evaluation.bootstrap import Difference, Score
from producer.evaluation.evaluate import Evaluation, RougeScores
from producer.evaluation.flags import FLAGS, Flag
from producer.evaluation.spread import Bin, Quartiles
from producer.job import Job
from producer.status import JobStatusView

# So many take a moment: nobody has to ask for it.
_AT_ONCE = 2000
_FEW = 20

EVALUATIONS = Evaluations()
"""Of this process, whoever looks."""


@dataclass(frozen=True, slots=True)
class Shown:
    documents: int
    running: bool
    found: Evaluation | None
    problem: str | None


class QualityCard:
    """Shows something once the job is over and has summaries."""

    def __init__(self, job: Job) -> None:
        self._job = job
        self._status: JobStatusView | None = None
        self._whole = El("div")
        with self._whole, card("Quality"):
            self._going = El("p", classes="muted", role="status")
            self._part = Part[Shown | None](self._make)
        self._whole.set_visibility(False)

    def show(self, status: JobStatusView) -> None:
        """As often as it may have changed."""
        self._status = status
        there = status.over and not status.dry_run and status.counts.completed > 0
        self._whole.set_visibility(there)
        if not there:
            return
        known = EVALUATIONS.known(status)
        if known is None and status.counts.completed <= _AT_ONCE:
            known = EVALUATIONS.ask(self._job, status)
        self._going.say(_going(known))
        self._going.set_visibility(known is not None and not known.over)
        self._part.show(_shown(known, status))

    @property
    def waits(self) -> bool:
        """Whether more is to come."""
        known = self._status and EVALUATIONS.known(self._status)
        return known is not None and not known.over

    async def _begin(self) -> None:
        if self._status is not None:
            EVALUATIONS.ask(self._job, self._status)
            self.show(self._status)

    def _make(self, shown: Shown | None) -> None:
        if shown is None:
            return
        if shown.problem:
            El("p", shown.problem, "notice", role="alert")
        if shown.found:
            _evaluation(shown.found)
        elif not shown.running:
            with El("div", classes="row"):
                words = f"Evaluate {shown.documents:,} summaries"
                button("Try again" if shown.problem else words, self._begin)
                El("span", "Reads all documents again; others see what is found, too.", "muted")


def _going(known: Running | None) -> str:
    if known is None or known.over:
        return ""
    if known.waits:
        return "Waits for another evaluation to end."
    return f"Being evaluated: {known.done:,} of {known.documents:,} looked at."


def _shown(known: Running | None, status: JobStatusView) -> Shown:
    if known is None:
        return Shown(status.counts.completed, running=False, found=None, problem=None)
    return Shown(status.counts.completed, not known.over, known.found, known.problem)


def _evaluation(found: Evaluation) -> None:
    if found.status != JobStatus.COMPLETED:
        El("p", f"Of the {found.documents:,} summaries that are stored.", "muted small")
    if found.rouge:
        _rouge(found.rouge)
    else:
        El("p", "No document has a reference, so there is no ROUGE.", "muted")
    with El("div", classes="halves"):
        _histogram(found.lengths, "Words of a summary", _quartiles(found.words, ""))
        compression = _quartiles(found.compression, "words of the document for each of its summary")
        _histogram(found.kept, "Words of a summary for each 100 of its document", compression)
    _novel(found)
    _flags(found.flags)


def _rouge(found: RougeScores) -> None:
    El("h3", "ROUGE")
    few = ": too few for the intervals to say much" if found.documents < _FEW else ""
    said = f"F1 over {counted(found.documents, 'document')} with a reference, 95 % interval{few}."
    El("p", said, "muted small")
    with El("div", classes="scroll"), El("table", classes="plain-table"):
        with El("thead"), El("tr"):
            for name in ("", "summaries", "first 3 sentences", "difference"):
                El("th", name, "numbers", scope="col")
        with El("tbody"):
            for metric, score in found.summaries.items():
                lead = found.lead_3[metric] if found.lead_3 else None
                above = found.above_lead_3[metric] if found.above_lead_3 else None
                with El("tr"):
                    El("th", METRICS[metric], scope="row")
                    _score(score)
                    _score(lead)
                    _score(above, "+")


def _score(found: Score | Difference | None, sign: str = "") -> None:
    with El("td", classes="numbers"):
        if found is None:
            El("span", "not known", "muted")
            return
        El("strong", f"{found.mean:{sign}.2f}")
        El("span", f" {found.low:{sign}.2f} to {found.high:{sign}.2f}", "muted interval")


def _histogram(bins: list[Bin], title: str, note: str) -> None:
    if not bins:
        return
    with El("div"):
        rows = [(_interval(each), each.documents) for each in bins]
        picture(charts.bars(rows, title))
        if note:
            El("p", note, "muted small")


def _interval(found: Bin) -> str:
    last = found.stop - 1
    return f"{found.start:,}" if found.start == last else f"{found.start:,} to {last:,}"


def _quartiles(found: Quartiles | None, unit: str) -> str:
    if found is None:
        return ""
    said = f"median {found.median:,.1f}, quartiles {found.low:,.1f} and {found.high:,.1f}"
    return f"{said} {unit}".strip()


def _novel(found: Evaluation) -> None:
    if not found.novel_ngrams:
        return
    said = ", ".join(
        f"{100 * share:.0f} % of its {order}-grams"
        if order > 1
        else f"{100 * share:.0f} % of its words"
        for order, share in found.novel_ngrams.items()
        if share is not None
    )
    if said:
        El("p", f"Not in its document, of a summary: {said}.", "small")


def _flags(found: list[Flag]) -> None:
    El("h3", "Worth a look")
    with El("ul", classes="flags"):
        for flag in found:
            if flag.documents:
                with El("li"):
                    _flag(flag)
        if none := [_name(flag) for flag in found if not flag.documents]:
            El("li", f"None {' or '.join(none)}.", "muted")


def _name(flag: Flag) -> str:
    return flag.name.replace("_", " ")


def _flag(flag: Flag) -> None:
    with El("details"):
        with El("summary"):
            El("strong", f"{flag.documents:,} {_name(flag)} ({100 * flag.share:.1f} %)")
            El("span", f" {FLAGS[flag.name]}", "muted")
        for sample in flag.samples:
            with El("p", classes="small"):
                El("span", f"document {sample['index']:,}: ", "muted")
                El("span", sample["summary"] or "(empty)")
