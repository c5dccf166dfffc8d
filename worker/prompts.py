"""From a document's text to the token ids that a model reads.

Fills the prompt, renders the chat template for decoder-only models, tokenizes a
whole shard in one call, and cuts what is too long: always the document, never
the prompt or the template around it. It knows tokenizers, not models.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from jobs.errors import JobError
from worker.engines import Encoded

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerFast

    from jobs.parameters import Effective
    from worker.generation import Kind

SLOT = "{text}"
INSTRUCTION = "Summarize this text in one sentence."


def settled(kind: "Kind", asked: str | None, own: str | None) -> str | None:
    """The prompt of a job, with a `{text}` in it: the user's, else the model's own.

    Without a `{text}` a prompt stands before the document: at once for an
    encoder-decoder ("summarize: "), a blank line apart for an instruct model.
    """
    if kind == "decoder-only":
        prompt = asked or INSTRUCTION
        return prompt if SLOT in prompt else f"{prompt}\n\n{SLOT}"
    prompt = asked or own or SLOT
    prompt = prompt if SLOT in prompt else prompt + SLOT
    return None if prompt == SLOT else prompt


def fill(prompt: str | None, text: str) -> str:
    """`{text}` replaced literally: braces elsewhere, in prompt or document, mean nothing."""
    return text if prompt is None else prompt.replace(SLOT, text)


def encode(
    tokenizer: "PreTrainedTokenizerFast",
    kind: "Kind",
    texts: Sequence[str],
    effective: "Effective",
) -> list[Encoded]:
    """One result for each text, none longer than `effective.max_input_tokens`.

    Raises JobError("bad_parameters") where the prompt alone is longer than that, and
    JobError("model_unreadable") where the chat template can not be filled in.
    """
    render = frame(tokenizer, kind, effective.prompt)
    framed = [render(text) for text in texts]
    encoded = [Encoded(ids, len(ids), False) for ids in _tokenize(tokenizer, kind, framed)]
    limit = effective.max_input_tokens
    if limit is None:
        return encoded
    long = [position for position, each in enumerate(encoded) if each.tokens > limit]
    if kind == "encoder-decoder" and (effective.prompt or SLOT).endswith(SLOT):
        shortened = _cut_end(tokenizer, [framed[position] for position in long], limit)
    else:
        framing = frame_tokens(tokenizer, kind, effective.prompt) if long else 0
        shortened = [
            _cut_text(tokenizer, kind, texts[position], render, framing, limit) for position in long
        ]
    for position, each in zip(long, shortened, strict=True):
        encoded[position] = each
    return encoded


def token_spans(tokenizer: "PreTrainedTokenizerFast", text: str) -> list[tuple[int, int]]:
    """Where in `text` each of its tokens lies; nothing is framed and nothing cut."""
    found = tokenizer(text, add_special_tokens=False, return_offsets_mapping=True, verbose=False)
    return [(start, stop) for start, stop in found["offset_mapping"]]


def frame_tokens(tokenizer: "PreTrainedTokenizerFast", kind: "Kind", prompt: str | None) -> int:
    """Tokens of the input that are not the document's."""
    return len(_tokenize(tokenizer, kind, [frame(tokenizer, kind, prompt)("")])[0])


def frame(
    tokenizer: "PreTrainedTokenizerFast", kind: "Kind", prompt: str | None
) -> Callable[[str], str]:
    """What turns a document into the string that is tokenized: prompt and chat template."""
    if kind == "encoder-decoder":
        return lambda text: fill(prompt, text)
    marks = [str(token) for token in tokenizer.added_tokens_decoder.values() if token.special]

    def turn(text: str) -> str:
        content = fill(prompt, _defused(text, marks))
        message = [{"role": "user", "content": content}]
        with _rendering():
            return str(
                tokenizer.apply_chat_template(message, tokenize=False, add_generation_prompt=True)
            )

    return turn


@contextmanager
def _rendering() -> Iterator[None]:
    """A template is a program of the model's, which may end in any way, the text that it was
    given among its last words: nothing but the kind of its error is told."""
    try:
        yield
    except MemoryError:
        raise
    except Exception as error:
        kind = type(error).__name__
        message = f"its chat template can not be filled in: {kind}; choose another model"
        raise JobError("model_unreadable", message) from None


def _defused(text: str, marks: Sequence[str]) -> str:
    """`text` without the model's own marks: a document that says `<|im_end|>` would
    otherwise end the user's turn and begin another."""
    for mark in marks:
        if mark in text:
            text = text.replace(mark, f"{mark[0]} {mark[1:]}")
    return text


def _tokenize(
    tokenizer: "PreTrainedTokenizerFast", kind: "Kind", framed: list[str], **options: Any
) -> list[list[int]]:
    if not framed:
        return []
    # A chat template writes its own <s>; the tokenizer would add a second one.
    found = tokenizer(
        framed,
        add_special_tokens=kind == "encoder-decoder",
        return_attention_mask=False,
        verbose=False,
        **options,
    )
    ids: list[list[int]] = found["input_ids"]
    return ids


def _cut_end(tokenizer: "PreTrainedTokenizerFast", framed: list[str], limit: int) -> list[Encoded]:
    """Where the document ends the input, the tokenizer's own truncation, as in the textbook;
    it keeps the end token."""
    found = _tokenize(tokenizer, "encoder-decoder", framed, truncation=True, max_length=limit)
    return [Encoded(ids, len(ids), truncated=True) for ids in found]


def _cut_text(
    tokenizer: "PreTrainedTokenizerFast",
    kind: "Kind",
    text: str,
    render: Callable[[str], str],
    framing: int,
    limit: int,
) -> Encoded:
    """As much of the beginning of `text` as fits beside the `framing` tokens around it.

    Cut by the offsets of the text's own tokens and framed again, until it fits:
    tokens at the seams may join or part, so one look is not enough.
    """
    offsets = tokenizer(
        text,
        add_special_tokens=False,
        truncation=True,
        max_length=limit,
        return_offsets_mapping=True,
    )["offset_mapping"]
    keep = min(limit - framing, len(offsets))
    while keep > 0:
        ids = _tokenize(tokenizer, kind, [render(text[: offsets[keep - 1][1]])])[0]
        if len(ids) <= limit:
            return Encoded(ids, len(ids), truncated=True)
        keep -= len(ids) - limit
    raise JobError("bad_parameters", f"the prompt alone takes {framing} of {limit} tokens")
