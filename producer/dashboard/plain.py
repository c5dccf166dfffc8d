"""Pages without a socket behind them: the login, and why one may not be here."""

from html import escape

from starlette.responses import HTMLResponse

_PAGE = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{title} · gistmill</title>
{head}
</head>
<body class="plain"><main id="main"><p class="brand">gistmill</p>
<h1>{title}</h1>
{body}
</main></body>
</html>
"""

HEAD = (
    '<link rel="icon" href="/static/icon.svg"><link rel="stylesheet" href="/static/page.css">'
    '<script src="/static/page.js"></script><script src="/static/form.js" defer></script>'
)


def page(status: int, title: str, message: str, form: str = "") -> HTMLResponse:
    """`form` is HTML; what `message` says behind a semicolon is a sentence of its own."""
    said, _, hint = message.partition("; ")
    lines = "".join(f"<p>{escape(_sentence(line))}</p>" for line in (said, hint) if line)
    shown = _PAGE.format(title=escape(title), head=HEAD, body=lines + form)
    return HTMLResponse(shown, status, {"Cache-Control": "no-store"})


def _sentence(text: str) -> str:
    return text[:1].upper() + text[1:] + ("" if text.endswith((".", "?")) else ".")
