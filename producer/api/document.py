"""The OpenAPI document (`/openapi.json`): what FastAPI tells of the routes, and what it can not
know: tokens, problem details, and names for operations that a generated client can use.
"""

from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi
from fastapi.routing import APIRoute

from producer.api.problems import TYPE, Problem
from producer.api.views import Results

_TOKEN = {
    "type": "http",
    "scheme": "bearer",
    "description": "Made with `gistmill token create NAME`, and needed once there was one. Its "
    "scopes are `read`, `submit` and `admin`; each may what the ones before it may. A token sees "
    "only what came with it; `admin` sees all.",
}
_OPEN = ("/healthz",)


def name(route: APIRoute) -> str:
    """Of an operation: its function's, for clients that are generated."""
    return route.name


def install(app: FastAPI) -> None:
    app.openapi = lambda: _document(app)  # type: ignore[method-assign]  # as FastAPI's docs have it


def _document(app: FastAPI) -> dict[str, Any]:
    if app.openapi_schema is None:
        made = get_openapi(
            title=app.title,
            version=app.version,
            summary="Summarize large piles of text as a batch.",
            routes=app.routes,
        )
        known = made.setdefault("components", {})
        schemas = known.setdefault("schemas", {})
        for model in (Problem, Results):  # no route returns them as they are
            described = model.model_json_schema(ref_template="#/components/schemas/{model}")
            schemas |= described.pop("$defs")
            schemas[model.__name__] = described
        for gone in ("HTTPValidationError", "ValidationError"):
            schemas.pop(gone, None)
        known["securitySchemes"] = {"token": _TOKEN}
        for path, operations in made["paths"].items():
            for operation in operations.values():
                _tell(path, operation)
        app.openapi_schema = made
    return app.openapi_schema


def _tell(path: str, operation: dict[str, Any]) -> None:
    """Of each operation: what it answers where something is wrong, and that it needs a token."""
    answers = operation["responses"]
    answers.pop("422", None)
    reference = {"schema": {"$ref": "#/components/schemas/Problem"}}
    answers["default"] = {"description": "A problem, and a hint", "content": {TYPE: reference}}
    if path not in _OPEN:
        operation["security"] = [{"token": []}]
