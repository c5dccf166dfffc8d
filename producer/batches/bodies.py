"""What the body of a chat completion asks for, in our own words.

Pure. What can not be kept is refused, not passed over: who asks for tools or for JSON would not
notice that there are none. Names of `jobs.parameters` and of GenerationConfig are taken too, as
other servers of this API take them.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from jobs import parameters
from jobs.documents import storable
from jobs.errors import UsageError
from jobs.generation_fields import Fields
from jobs.parameters import Parameters
from jobs.sources.chat import content_of, text_of

_HOTTEST = 2
_LONGEST_MODEL = 1000

# Say nothing of the answer.
_PASSED_OVER = frozenset(
    {
        *("metadata", "prompt_cache_key", "prompt_cache_options", "prompt_cache_retention"),
        *("safety_identifier", "service_tier", "store", "stream_options", "user"),
    }
)

# Taken with the values that mean what is done anyway.
_ONLY: Mapping[str, tuple[Any, ...]] = {
    "n": (1,),
    "stream": (False,),
    "logprobs": (False,),
    "top_logprobs": (0,),
    "frequency_penalty": (0,),
    "presence_penalty": (0,),
    "logit_bias": ({},),
    "modalities": (["text"],),
    "parallel_tool_calls": (True, False),
    "response_format": ({"type": "text"},),
    "stop": ([],),
    "tools": ([],),
    "tool_choice": ("none", "auto"),
}

_LENGTHS = ("max_completion_tokens", "max_tokens")
_SAMPLING = ("temperature", "top_p")
_OURS = (Parameters.model_fields.keys() | Fields.model_fields.keys()) - {"generate", *_SAMPLING}
_ROLES = ("system", "developer", "user", "assistant")


class Wrong(Exception):
    """Of a request: `code` and `param` as OpenAI's errors have them, and a message."""

    def __init__(self, code: str, message: str, param: str | None = None) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.param = param


@dataclass(frozen=True, slots=True)
class Asked:
    """All of a body but its document."""

    model: str
    prompt: str | None
    parameters: Parameters


def prompt_of(body: Mapping[str, Any]) -> str | None:
    """The system messages, a blank line between them. Raises Wrong where the messages hold
    anything but text, or none of the user."""
    messages = body.get("messages")
    if not isinstance(messages, list) or not messages:
        raise Wrong("missing_required_parameter", "messages: a list of messages", "body.messages")
    prompts = []
    for message in messages:
        if not isinstance(message, dict) or message.get("role") not in _ROLES:
            roles = ", ".join(_ROLES)
            raise Wrong("invalid_value", f"messages: roles are {roles}", "body.messages")
        if message["role"] in ("system", "developer"):
            prompts.append(content_of(message))
    if None in prompts or text_of(messages) is None:
        why = "messages: the last one of the user is the document, and must be text"
        raise Wrong("invalid_value", why, "body.messages")
    prompt = "\n\n".join(each for each in prompts if each and each.strip())
    if storable(prompt) != prompt:
        raise Wrong("invalid_value", "the system message holds NUL or no Unicode", "body.messages")
    return prompt or None


def rest_of(body: Mapping[str, Any]) -> dict[str, Any]:
    """What two requests of a batch must have in common besides their prompt."""
    return {
        name: value
        for name, value in body.items()
        if value is not None and name != "messages" and name not in _PASSED_OVER
    }


def asked(rest: Mapping[str, Any], prompt: str | None) -> Asked:
    """Raises Wrong that names the first parameter that can not be kept."""
    model = rest.get("model")
    if not isinstance(model, str) or not model.strip():
        raise Wrong("missing_required_parameter", "model: name one", "body.model")
    if len(model) > _LONGEST_MODEL or storable(model) != model:
        message = f"model: at most {_LONGEST_MODEL:,} characters, none of them NUL"
        raise Wrong("invalid_value", message, "body.model")
    ours: dict[str, Any] = {}
    for name, value in rest.items():
        if name in _OURS:
            ours[name] = value
        elif name not in ("model", *_LENGTHS, *_SAMPLING):
            _only(name, value)
    ours |= _length(rest) | _sampling(rest)
    try:
        found = parameters.parse(_sorted_in(ours))
    except UsageError as error:
        name = str(error).partition(":")[0]
        param = f"body.{name}" if name.isidentifier() else None
        raise Wrong("invalid_value", str(error), param) from None
    return Asked(model, prompt, found)


def _only(name: str, value: Any) -> None:
    values = _ONLY.get(name)
    if values is None or value not in values:
        way = "leave it out" if not values else f"leave it out, or give it {values[0]!r}"
        message = f"{name}: not supported with the value {_short(value)}; {way}"
        raise Wrong("unsupported_parameter", message, f"body.{name}")


def _length(rest: Mapping[str, Any]) -> dict[str, Any]:
    given = {rest[name] for name in _LENGTHS if isinstance(rest.get(name), int)}
    strange = [name for name in _LENGTHS if name in rest and not _is_whole(rest[name])]
    if strange or len(given) > 1:
        name = strange[0] if strange else _LENGTHS[0]
        why = "a whole number above 0" if strange else "differs from max_tokens; give one of both"
        raise Wrong("invalid_value", f"{name}: {why}", f"body.{name}")
    return {"max_new_tokens": given.pop()} if given else {}


def _sampling(rest: Mapping[str, Any]) -> dict[str, Any]:
    """Greedy unless a temperature above 0 is asked for, or a share of less than all."""
    temperature, top_p = (rest.get(name) for name in _SAMPLING)
    for name, value, most in zip(_SAMPLING, (temperature, top_p), (_HOTTEST, 1), strict=True):
        if value is not None and not (_is_number(value) and 0 <= value <= most):
            message = f"{name}: a number from 0 to {most}"
            raise Wrong("invalid_value", message, f"body.{name}")
    if temperature == 0 or (temperature is None and top_p in (None, 1)):
        return {}
    found = {"do_sample": True, "temperature": float(1 if temperature is None else temperature)}
    return found if top_p in (None, 1) else {**found, "top_p": float(top_p)}


def _sorted_in(ours: dict[str, Any]) -> dict[str, Any]:
    """Those that have an argument of their own, and the others below `generate`."""
    own = {name: value for name, value in ours.items() if name in Parameters.model_fields}
    return {**own, "generate": {name: value for name, value in ours.items() if name not in own}}


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _is_whole(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value > 0


def _short(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:60]}…"
