"""The demo's documents are prose, whatever surrounds it."""

from producer.demo_documents import documents, prose

MARKDOWN = """\
# A heading of more than eight words that should not be kept.

[![badge](https://example.org/b.svg)](https://example.org) ![another](x.png)

It keeps [the words of a link](https://example.org) and `code` in a sentence,
<br> also over two lines.

- a list item of more than eight words that should not be kept.

> A quotation of more than eight words that should not be kept.

| a table | of more than eight words that should not be kept. |
|---|---|
| x | y |

```
a code block of more than eight words that should not be kept.
```

What announces a list or a block of code ends in a colon:
"""

RST = """\
A heading
=========

.. image:: https://example.org/badge.svg
    :target: https://example.org with more than eight words in all.

|badge| |another| and more than eight words that should not be kept.

It keeps `the words of a link <https://example.org>`_ and ``code`` and a name_
in a sentence, *also* over two lines. Use ``it``::

    a literal block of more than eight words that should not be kept.

The last one names :func:`a.role` and keeps what it needs to keep.

* a list item of more than eight words that should not be kept.
"""


def test_markdown() -> None:
    assert prose(MARKDOWN, "text/markdown; charset=UTF-8") == (
        "It keeps the words of a link and code in a sentence,  also over two lines."
    )


def test_restructured_text() -> None:
    assert prose(RST, "") == "The last one names a.role and keeps what it needs to keep."
    kept = prose(RST.replace(" Use ``it``::", ""), "text/x-rst")
    assert kept.startswith(
        "It keeps the words of a link and code and a name in a sentence, also over two lines."
    )


def test_what_is_installed_here() -> None:
    found = documents()
    assert len(found) >= 24
    assert found == documents()
    assert [document["id"].lower() for document in found] == sorted(
        document["id"].lower() for document in found
    )
    for document in found:
        assert set(document) == {"id", "text", "reference"}
        assert 60 <= len(document["text"].split()) <= 350
        assert "](" not in document["text"]
        assert "://" not in document["text"]
