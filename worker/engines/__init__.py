"""Engines: token ids in, token ids out.

An engine holds one loaded model and knows nothing of jobs, SQL or Celery. The
pipeline asks it to encode the documents of a shard, picks batches from what
comes back, and hands each batch to `generate`. How a job's parameters reach it
is `Effective`, settled once while the job was `validating`.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, Protocol

from jobs.parameters import Effective

MODEL_ERRORS = (RuntimeError, ValueError, IndexError)
"""What a model raises over an input that it can not take, as far as is known. A worker puts any
error down to the document; who runs one text by hand is told of a defect as of one."""


class OutOfMemory(Exception):
    """This batch needs more memory than the device has; a smaller one may not."""


class DeviceLost(Exception):
    """This process can not use its device any more; a new process can."""


class NotNumbers(ValueError):
    """The model's logits are NaN: no text follows from them, though a search would find one."""

    def __init__(self) -> None:
        super().__init__(
            "the model computes NaN for this text: its weights are damaged, or its numbers are "
            "too large for this dtype; try float32"
        )


@dataclass(frozen=True, slots=True)
class Encoded:
    """One document, ready for the model."""

    ids: list[int]
    tokens: int
    """What `input_tokens` reports, after truncation."""
    truncated: bool


@dataclass(frozen=True, slots=True)
class Generated:
    """What the model made of one document."""

    ids: list[int]
    """New tokens only: no prompt, no decoder start, no padding, no end token."""
    tokens: int
    """What `output_tokens` reports: new tokens, the end token among them."""
    finish_reason: Literal["stop", "length"]


class Engine(Protocol):
    name: str
    max_num_seqs: int
    """Sequences that are generated together at most."""

    max_num_batched_tokens: int | None
    """Padded input tokens in one batch; None where only `max_num_seqs` bounds it. Lowered where
    a batch was too large for the memory."""

    def seqs_per_document(self, effective: Effective) -> int:
        """How many of `max_num_seqs` one document takes."""
        ...

    def encode(self, texts: Sequence[str], effective: Effective) -> list[Encoded]:
        """Prompt, tokenize and truncate, one result for each text."""
        ...

    def token_spans(self, text: str) -> list[tuple[int, int]]:
        """Where in `text` each of its tokens lies, as `encode` counts them: characters
        `start <= place < stop`, in order; none of the prompt's or the template's."""
        ...

    def generate(
        self, batch: Sequence[list[int]], effective: Effective, seeds: Sequence[int]
    ) -> list[Generated]:
        """Generate for one batch; row i samples with seeds[i] where sampling is on.

        Other threads may encode and decode meanwhile, two of them at once.

        Raises OutOfMemory and DeviceLost, and MODEL_ERRORS over an input.
        """
        ...

    def decode(self, generated: Sequence[Generated]) -> list[str]:
        """The summaries as text, special tokens left out, outer white space stripped."""
        ...
