"""The form that makes a job, and beside it what a dry run of it found.

The browser sends what is filled in to `POST /v1/jobs`, as anybody would who submits over HTTP, and
a file to `POST /v1/files` before that (`static/form.js`): nothing of it passes through the socket
of the page, whose messages are small, and nothing is allowed here that is not allowed there.
"""

from typing import Any, get_args

from nicegui import ui
from starlette.concurrency import run_in_threadpool

from jobs import model_names
from jobs.errors import NotAllowed
from jobs.parameters import Dtype, Engine, LongDocuments
from producer.dashboard.elements import El
from producer.dashboard.report import Report
from producer.dashboard.visitors import Visitor

# Of the newest jobs, whose models are offered.
_RECENT = 100


async def show(visitor: Visitor) -> None:
    """Raises NotAllowed for who may only read."""
    if not visitor.may_submit:
        raise NotAllowed("your token may read jobs, and not make any")
    models = await run_in_threadpool(_models, visitor)
    El("h1", "New job")
    with El("div", classes="submit"):
        with El("form", classes="card stack job-form", data_job_form="", novalidate=True):
            _documents()
            _how(models)
            _advanced()
            El("p", "", "error", id="form-error", role="alert")
            with El("div", classes="row"):
                El("button", "Submit", "button main", value="submit")
                El("button", "Dry run", "button", value="dry")
                El("span", "", "muted small", id="form-busy", role="status")
        report = Report(visitor)
    ui.on("dry-run", lambda event: report.of(str(event.args)))


def _models(visitor: Visitor) -> list[str]:
    """Those of the newest jobs first."""
    recent = [job.model for job in visitor.client.jobs(_RECENT)]
    return list(dict.fromkeys([*recent, "lead-3", model_names.PACKAGED]))


def _documents() -> None:
    with El("fieldset", classes="stack"):
        El("legend", "Documents")
        with El("div", classes="tabs", role="radiogroup", aria_label="Where they come from"):
            for value, text in (("paste", "Paste"), ("file", "Upload"), ("dataset", "Dataset")):
                with El("label"):
                    El(
                        "input",
                        type="radio",
                        name="from",
                        value=value,
                        checked=value == "paste",
                        data_shows=value,
                    )
                    El("span", text)
        with El("div", classes="stack", data_part="paste"):
            with _field("documents", "Texts"):
                El("textarea", id="f-documents", rows="9", spellcheck="false")
            with El("div", classes="row"):
                El("label", "A new text begins", "plain-label", for_="f-cut")
                with El("select", id="f-cut", classes="inline"):
                    El("option", "after an empty line", value="blank")
                    El("option", "on each line", value="line")
                    El("option", "nowhere: it is one text", value="none")
                El("span", "", "muted small", id="f-count", role="status")
        with El("div", classes="stack", data_part="file", hidden=True):
            with _field("file", "File", "JSON lines, CSV, Parquet or plain text; also compressed"):
                El("input", id="f-file", type="file")
            El("progress", "", id="f-progress", max="1", value="0", hidden=True)
        with El("div", classes="stack", data_part="dataset", hidden=True):
            hint = "ORG/NAME on the hub, or a path or URL that this mill allows"
            with _field("source", "Dataset", hint):
                El("input", id="f-source", placeholder="EdinburghNLP/xsum", spellcheck="false")
            with El("div", classes="pair"):
                with _field("split", "Split"):
                    _input("split", placeholder="test[:1000]")
                with _field("config", "Config"):
                    _input("config")


def _how(models: list[str]) -> None:
    with _field("model", "Model", "lead-3 takes the first three sentences: good for a try"):
        _input("model", value=models[0] if models else "", list="models", required=True)
        with El("datalist", id="models"):
            for name in models:
                El("option", value=name)
    with El("div", classes="pair"):
        with _field("name", "Name"):
            _input("name", placeholder="To find it again")
        with _field("labels", "Labels"):
            _input("labels", "labels", placeholder="team=news, lang=de")


def _advanced() -> None:
    with El("details"):
        El("summary", "When it runs")
        with El("div", classes="pair"):
            with _field("window", "Only in these hours"):
                _input("window", placeholder="22:00-06:00 Europe/Berlin")
            with _field("deadline", "Stop after, or at"):
                _input("deadline", placeholder="8h, or 07:00")
            with _field("priority", "Priority", "higher ones go first"):
                _input("priority", "whole", placeholder="0")
            with _field("max_error_rate", "Stop if more fail than"):
                _input("max_error_rate", "number", placeholder="0.1 is one in ten")
    with El("details"):
        El("summary", "How it is summarized")
        with El("div", classes="pair"):
            with _field("max_new_tokens", "Longest summary", "in tokens"):
                _input("max_new_tokens", "whole")
            with _field("min_length", "Shortest summary", "in tokens"):
                _input("min_length", "whole")
            with _field("num_beams", "Beams", "more are slower, and often better"):
                _input("num_beams", "whole")
            with _field("long_documents", "Documents that are too long"):
                words = {
                    "truncate": "are cut off",
                    "map-reduce": "are done in parts",
                    "fail": "count as failed",
                }
                _choice("long_documents", {each: words[each] for each in get_args(LongDocuments)})
            with _field("max_input_tokens", "Read at most", "tokens of a document"):
                _input("max_input_tokens", "whole")
            with _field("no_repeat_ngram_size", "Repeat no run of", "so many tokens"):
                _input("no_repeat_ngram_size", "whole")
            with _field("length_penalty", "Length penalty", "above 1 for longer ones"):
                _input("length_penalty", "number")
            with _field("seed", "Seed", "where it is sampled"):
                _input("seed", "whole", placeholder="0")
        with _field("prompt", "Prompt", "for models that follow instructions; {text} is the text"):
            El("textarea", id="f-prompt", rows="3", data_field="prompt", data_kind="text")
    with El("details"):
        El("summary", "Columns and engine")
        with El("div", classes="pair"):
            for name, text in (
                ("text_column", "Column of the text"),
                ("id_column", "Column of the id"),
                ("reference_column", "Column of a reference summary"),
            ):
                with _field(name, text):
                    _input(name, placeholder="guessed")
            with _field("engine", "Engine"):
                _choice("engine", {each: each for each in get_args(Engine)})
            with _field("dtype", "Precision"):
                _choice("dtype", {each: each for each in get_args(Dtype)})
            with _field("revision", "Revision of the dataset"):
                _input("revision")


def _field(name: str, text: str, hint: str = "") -> El:
    """A label, its hint, what is made inside, and where an error of it is said."""
    field = El("div", classes="field", data_of=name)
    with field, El("div", classes="row caption"):
        El("label", text, for_=f"f-{name}")
        if hint:
            El("span", hint, "muted small")
    return field


def _input(name: str, kind: str = "text", **more: Any) -> None:
    """`kind` says what it is in JSON: `text`, `whole`, `number` or `labels`."""
    mode = {"whole": "numeric", "number": "decimal"}.get(kind)
    El(
        "input",
        id=f"f-{name}",
        data_field=name,
        data_kind=kind,
        inputmode=mode,
        autocomplete="off",
        **more,
    )


def _choice(name: str, options: dict[str, str]) -> None:
    """The first is what is taken where nothing is said."""
    with El("select", id=f"f-{name}", data_field=name, data_kind="text"):
        for index, (value, text) in enumerate(options.items()):
            El("option", text, value="" if index == 0 else value)
