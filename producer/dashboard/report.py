"""What a dry run found: the first prompt, who decided the parameters, a sample's lengths."""

from typing import Any

from producer.cli import output
from producer.dashboard import charts
from producer.dashboard.elements import El
from producer.dashboard.parts import card, counted, facts, picture
from producer.status import JobStatusView


def show(status: JobStatusView) -> None:
    """Nothing where there is no report."""
    report = status.report
    if report is None:
        return
    total = status.counts.total or 0
    with card("Dry run", "nothing was summarized"):
        documents, shards = counted(total, "document"), counted(report["shards"], "shard")
        El("p", f"{documents} in {shards}. {_forecast(status)}")
        _sample(report["sample"])
        if report["prompt"] is not None:
            El("h3", "The first document as the model reads it")
            El("div", report["prompt"], "text", tabindex="0", role="region", aria_label="Prompt")
        El("h3", "Parameters, and who decided them")
        facts([(name, _decided(found)) for name, found in sorted(report["parameters"].items())])


def _forecast(status: JobStatusView) -> str:
    if status.forecast is not None:
        said = output.forecast(status.forecast)
        return f"{said[:1].upper()}{said[1:]}."
    return "No forecast: this model has done nothing here yet."


def _decided(found: dict[str, Any]) -> str:
    value = "none" if found["value"] is None else found["value"]
    return f"{value}, {found['from']}"


def _sample(sample: dict[str, Any]) -> None:
    seen = sample["documents"]
    bad = [(f"can not be used: {code}", number) for code, number in sample["bad"].items()]
    found = [
        *bad,
        ("too long for the model", sample["too_long"]),
        ("repeat an earlier one", sample["duplicates"]),
    ]
    El("h3", f"A sample of {counted(seen, 'document')}")
    facts([(name, _share(number, seen)) for name, number in found])
    bins = [(_interval(each), each["documents"]) for each in sample["histogram"]]
    if bins:
        picture(charts.bars(bins, "Input tokens of a document"))


def _share(number: int, of: int) -> str:
    return f"{number:,} ({100 * number / of:.1f} %)" if of else f"{number:,}"


def _interval(found: dict[str, int]) -> str:
    first, last = found["from"], found["to"] - 1
    return f"{first:,}" if first == last else f"{first:,} to {last:,}"
