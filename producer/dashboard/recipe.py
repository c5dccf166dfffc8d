"""How to make the same job again: revisions, parameters, versions, and the line that does it."""

from datetime import UTC, datetime
from importlib.metadata import version
from zoneinfo import ZoneInfo

from producer.cli import output
from producer.dashboard.elements import El
from producer.dashboard.head import times
from producer.dashboard.look import Look
from producer.dashboard.parts import Part, card, facts
from producer.reproduction import reproduction
from producer.status import JobStatusView

# The second way is for pages that do not come over HTTPS, which may not use the first.
_COPY = """(event) => {
  const button = event.currentTarget;
  const line = button.closest("section").querySelector("pre");
  const said = () => {
    button.textContent = "Copied";
    setTimeout(() => { button.textContent = "Copy"; }, 2000);
  };
  const select = () => {
    getSelection().selectAllChildren(line);
    if (document.execCommand("copy")) said();
  };
  if (navigator.clipboard) navigator.clipboard.writeText(line.textContent).then(said, select);
  else select();
}"""


Facts = list[tuple[str, str]]


class RecipeCard:
    """Changes when the job is validated, and when its priority is set."""

    def __init__(self, zone: ZoneInfo) -> None:
        self._zone = zone
        self._part = Part(self._make)

    def show(self, look: Look) -> None:
        made = reproduction(look.record, datetime.now(UTC))
        went = [*times(look.status, self._zone), *_went(look.status), *_versions(look)]
        self._part.show((_settled(look), went, made.line, made.notes))

    def _make(self, what: tuple[Facts, Facts, str, list[str]]) -> None:
        settled, went, line, notes = what
        with card("Reproduction", "the line that makes this job again"):
            with El("div", classes="command"):
                El("pre", line, tabindex="0")
                El("button", "Copy", "button small", type="button").on("click", js_handler=_COPY)
            for note in notes:
                El("p", note, "muted small")
            with El("div", classes="halves"):
                facts(settled)
                facts(went)


def _settled(look: Look) -> Facts:
    status = look.status
    engine = output.engine(status).removeprefix("engine ") if status.engine else "not settled yet"
    parameters = status.parameters or {}
    found = [
        ("model", status.model),
        ("model revision", status.model_revision or "not settled yet"),
        ("engine", engine),
        *_source(status),
        *(("prompt", status.prompt) for _ in [0] if status.prompt is not None),
        *((name, str(value)) for name, value in sorted(parameters.items()) if value is not None),
        *((f"label {key}", value) for key, value in status.labels.items()),
        ("priority", str(status.priority)),
    ]
    if status.window:
        found.append(("window", status.window))
    return found


def _source(status: JobStatusView) -> Facts:
    source = status.source
    found = [("source", _place(source)), ("format", source["kind"])]
    found += [("uploaded as", source["file"])] if source.get("file") else []
    found += [(name, str(source[name])) for name in ("config", "split") if source.get(name)]
    if source.get("commit"):
        found.append(("source revision", source["commit"]))
    guessed = source.get("guessed", [])
    for name, column in (source.get("columns") or {}).items():
        if column is not None:
            found.append((f"{name} column", f"{column}{' (guessed)' if name in guessed else ''}"))
    return found


def _place(source: dict[str, object]) -> str:
    names = ("dataset", "filename", "pattern", "url", "path")
    return str(next((source[name] for name in names if source.get(name)), "given by hand"))


def _versions(look: Look) -> Facts:
    at_work = sorted({each.version for each in look.at_work if each.version})
    found = [("gistmill here", version("gistmill"))]
    return [*found, *([("gistmill of its workers", ", ".join(at_work))] if at_work else [])]


def _went(status: JobStatusView) -> Facts:
    found = []
    if status.forecast:
        found.append(("forecast", output.forecast(status.forecast)))
    if status.batching:
        found.append(("batching", output.batching(status.batching)))
    if status.max_error_rate is not None:
        found.append(("max error rate", f"{status.max_error_rate:g}"))
    return found
