"""Summaries side by side with their documents and references, some at a time."""

from functools import partial

from starlette.concurrency import run_in_threadpool

from jobs.errors import GistmillError
from producer.client import Client
from producer.dashboard.controls import button
from producer.dashboard.elements import El
from producer.dashboard.parts import card
from producer.samples import ORDERS, Order, Sample, Samples, samples

_NAMES: dict[Order, str] = {
    "random": "Random",
    "longest": "Longest",
    "lowest": "Lowest ROUGE",
}
# A document may be a book.
_SHOWN = 20_000


class SamplesCard:
    """Reads them when it is told to; a running job's do not change under the reader's eyes."""

    def __init__(self, client: Client, job_id: str) -> None:
        self._client, self._job_id = client, job_id
        self._order: Order = "random"
        self._turn = 0
        self._whole = El("div")
        with self._whole, card("Samples"):
            with El("div", classes="row", role="group", aria_label="Which samples"):
                self._buttons = {
                    order: button(_NAMES[order], partial(self._choose, order), "button small")
                    for order in ORDERS
                }
                self._others = button("Other ones", self._next, "button small quiet")
            self._note = El("p", classes="muted small")
            self._problem = El("p", classes="notice", role="alert")
            self._rows = El("div", classes="stack", aria_live="polite")
        self._whole.set_visibility(False)

    async def load(self) -> None:
        try:
            found = await run_in_threadpool(
                samples, self._client, self._job_id, self._order, turn=self._turn
            )
        except GistmillError as error:
            self._say_problem(str(error))
            return
        self._show(found)

    def _show(self, found: Samples) -> None:
        self._whole.set_visibility(found.drawn > 0)
        for order, made in self._buttons.items():
            made.put("aria_pressed", "true" if order == self._order else "false")
        self._buttons["lowest"].set_visibility(found.references > 0)
        self._others.set_visibility(self._order == "random" and found.drawn > len(found.rows))
        self._note.say(_note(found, self._order))
        self._say_problem(found.problem)
        self._rows.clear()
        with self._rows:
            for row in found.rows:
                _sample(row)

    def _say_problem(self, problem: str | None) -> None:
        self._problem.set_visibility(problem is not None)
        self._problem.say(problem or "")

    async def _choose(self, order: Order) -> None:
        self._order = order
        await self.load()

    async def _next(self) -> None:
        self._turn += 1
        await self.load()


def _note(found: Samples, order: Order) -> str:
    if order == "random" or found.whole:
        return ""
    return f"Of {found.drawn:,} that were drawn at random."


def _sample(row: Sample) -> None:
    with El("article", classes="sample"):
        with El("div", classes="row small"):
            El("strong", f"Document {row.index:,}")
            if row.id is not None:
                El("span", row.id, "muted mono")
            if row.rouge_l is not None:
                El("span", f"ROUGE-L {row.rouge_l:.1f}", "chip")
            if row.truncated:
                El("span", "only its beginning was read", "chip warn")
            El("span", f"{row.input_tokens:,} tokens to {row.output_tokens:,}", "muted")
        with El("div", classes="sides"):
            if row.text is not None:
                _side("Document", row.text)
            _side("Summary", row.summary)
            if row.reference is not None:
                _side("Reference", row.reference)


def _side(name: str, text: str) -> None:
    with El("div", classes="side"):
        El("h3", name)
        cut = text if len(text) <= _SHOWN else f"{text[:_SHOWN]} …"
        El("div", cut, "text", tabindex="0", role="region", aria_label=name)
