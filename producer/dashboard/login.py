"""The login: a token in, a session out; and the way out again."""

from html import escape
from typing import Annotated
from urllib.parse import urlsplit

from fastapi import APIRouter, Form, Request
from starlette.responses import RedirectResponse, Response

from jobs.errors import NotAllowed
from jobs.store import tokens
from producer.api import guard
from producer.api.sessions import COOKIE, DAYS
from producer.client import Client
from producer.dashboard import gate, plain
from producer.dashboard.visitors import Door

_FORM = """<form method="post" action="/login" class="stack">
<input type="hidden" name="next" value="{next}">
<label for="token">Token</label>
<input id="token" name="token" type="password" autocomplete="current-password" required autofocus
 spellcheck="false"{invalid}>
{error}
<button class="button main">Log in</button>
<p class="muted">A token is made on the machine of the mill, with
<code>gistmill token create NAME</code>, and shown once.</p>
</form>"""

_ERROR = '<p id="token-error" class="error" role="alert">{}</p>'


def router(door: Door) -> APIRouter:
    """`GET /login`, `POST /login` and `POST /logout`."""
    made = APIRouter(include_in_schema=False)

    @made.get("/login")
    def ask(request: Request, next: str = "/") -> Response:  # noqa: A002 - the parameter's name
        try:
            door.caller(request)
        except guard.Unauthenticated:
            return _form(next)
        except NotAllowed as error:
            return _secured(plain.page(403, "Not here", str(error)))
        return RedirectResponse(_own(next), 303)

    @made.post("/login")
    def enter(
        request: Request,
        token: Annotated[str, Form()],
        next: Annotated[str, Form()] = "/",  # noqa: A002 - the field's name
    ) -> Response:
        if not guard.is_ours(request.headers):
            return _form(next, "This form was not sent by this page. Try again.", 403)
        holder = _holder(door.client, token.strip())
        if holder is None:
            return _form(next, "No such token, or it was revoked.", 401)
        answer = RedirectResponse(_own(next), 303)
        # A proxy ends TLS: what its browser says is all that is known of it here.
        secure = request.headers["origin"].startswith("https:")
        _remember(answer, door.sessions.cookie(holder), secure)
        return answer

    @made.post("/logout")
    def leave(request: Request) -> Response:
        answer = RedirectResponse("/login", 303)
        if guard.is_ours(request.headers):
            answer.delete_cookie(COOKIE, httponly=True, samesite="lax")
        return answer

    return made


def _holder(client: Client, token: str) -> str | None:
    """The id of the token."""
    with client.database.transaction() as tx:
        found = tokens.caller(tx, token)
    return None if found is None else found.token


def _remember(answer: Response, cookie: str, secure: bool) -> None:
    # Lax: a link to a job in a mail is followed as whoever is logged in.
    answer.set_cookie(
        COOKIE, cookie, max_age=DAYS * 86400, httponly=True, samesite="lax", secure=secure
    )


def _form(wanted: str, error: str = "", status: int = 200) -> Response:
    form = _FORM.format(
        next=escape(_own(wanted)),
        error=_ERROR.format(escape(error)) if error else "",
        invalid=' aria-invalid="true" aria-describedby="token-error"' if error else "",
    )
    return _secured(plain.page(status, "Log in", "", form))


def _secured(answer: Response) -> Response:
    answer.headers.update(gate.HEADERS)
    return answer


def _own(wanted: str) -> str:
    """A path of ours; what would lead elsewhere leads to the jobs."""
    parts = urlsplit(wanted)
    own = not parts.scheme and not parts.netloc and "\\" not in wanted
    return wanted if own and wanted.startswith("/") and not wanted.startswith("//") else "/"
