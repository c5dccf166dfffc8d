"""The demo's documents: what the packages installed beside gistmill say of themselves.

They are real texts, on every machine that runs the demo, and each has the
one-line summary that its author wrote as a reference. Of a description only the
prose is kept: a small model makes junk of headings, code, badges and lists.
"""

import re
from collections.abc import Iterator
from importlib.metadata import Distribution, distributions

from markdown_it import MarkdownIt
from markdown_it.token import Token

_FEWEST_WORDS = 60
_MOST_WORDS = 350

# A paragraph of fewer words is a caption, a badge or a line of links.
_SHORTEST_PARAGRAPH = 8

_NOT_PROSE = {"list_item_open", "blockquote_open", "heading_open", "table_open"}


def documents() -> list[dict[str, str]]:
    """`id`, `text` and `reference` of each fitting package, by name; the same on each call."""
    found: dict[str, dict[str, str]] = {}
    for distribution in distributions():
        if document := _document(distribution):
            found.setdefault(document["id"].lower(), document)
    return [found[name] for name in sorted(found)]


def _document(distribution: Distribution) -> dict[str, str] | None:
    metadata = {key: str(value) for key, value in distribution.metadata.json.items()}
    summary, description = metadata.get("summary", ""), metadata.get("description", "")
    words = prose(description, metadata.get("description_content_type", "")).split()
    if not summary or len(words) < _FEWEST_WORDS:
        return None
    text = " ".join(words[:_MOST_WORDS])
    return {"id": metadata["name"], "text": text, "reference": summary.strip()}


def prose(description: str, content_type: str) -> str:
    """The paragraphs of a package's long description, and nothing else of it.

    Markdown where the type says so; else reStructuredText, the default of old.
    """
    markdown = content_type.startswith("text/markdown")
    paragraphs = _of_markdown(description) if markdown else _of_rst(description)
    return "\n\n".join(paragraph for paragraph in paragraphs if _is_prose(paragraph))


def _is_prose(paragraph: str) -> bool:
    """Long enough, ends as a sentence does (what ends in a colon announces a list or code,
    which is gone), and is no line of addresses."""
    long_enough = len(paragraph.split()) >= _SHORTEST_PARAGRAPH
    return long_enough and paragraph[-1] in ".!?)" and "://" not in paragraph


def _of_markdown(description: str) -> Iterator[str]:
    depth = 0  # inside how many things that are not prose
    tokens = MarkdownIt("commonmark").enable("table").parse(description)
    for before, token in zip([None, *tokens], tokens, strict=False):
        if token.type in _NOT_PROSE:
            depth += 1
        elif token.type.replace("_close", "_open") in _NOT_PROSE:
            depth -= 1
        elif token.type == "inline" and before and before.type == "paragraph_open" and not depth:
            yield _inline(token.children or [])


def _inline(tokens: list[Token]) -> str:
    """Text without its markup: links keep their words, images and HTML go."""
    kept = {"text": lambda t: t.content, "code_inline": lambda t: t.content}
    kept |= {"softbreak": lambda _: " ", "hardbreak": lambda _: " "}
    return "".join(kept[token.type](token) for token in tokens if token.type in kept).strip()


def _of_rst(description: str) -> Iterator[str]:
    for block in re.split(r"\n\s*\n", description.expandtabs()):
        lines = block.strip("\n").splitlines()
        if lines and not any(map(_RST_NOT_PROSE.match, lines)):
            yield _plain(" ".join(line.strip() for line in lines))


# Indented blocks, directives, comments, targets, lists, fields, badges, tables, doctests,
# and the lines of one character repeated that underline a heading.
_RST_NOT_PROSE = re.compile(
    r"\s|\.\.|[*+\-•] |\(?[0-9#a-zA-Z][.)] |:[\w -]+:|\||\+[-=]|>>>|__ |([^\w\s])\1{2,}\s*$"
)

_RST_INLINE = (
    (re.compile(r":[\w:]+:`([^`]+)`"), r"\1"),  # a role
    (re.compile(r"`([^`<]+?)\s*<[^`>]+>`__?"), r"\1"),  # a link with its address
    (re.compile(r"``?([^`]+)``?_{0,2}"), r"\1"),  # code, and a link by name
    (re.compile(r"\b(\w+?)__?(?=\W|$)"), r"\1"),  # a link of one word
    (re.compile(r"\|[^|]+\|_?"), ""),  # a substitution
    (re.compile(r"\*{1,2}([^*]+)\*{1,2}"), r"\1"),  # emphasis
    (re.compile(r"::$"), ":"),  # what announces a literal block
)


def _plain(paragraph: str) -> str:
    for pattern, replacement in _RST_INLINE:
        paragraph = pattern.sub(replacement, paragraph)
    return paragraph
