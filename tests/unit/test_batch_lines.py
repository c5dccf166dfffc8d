"""What makes a line of a batch's file one that can be done, and what is said of the others."""

import io
import json
from typing import Any

import pytest

from jobs.parameters import Parameters
from jobs.sources import opened
from producer.batches.bodies import Asked
from producer.batches.checking import MOST_ERRORS, Checked, check
from tests.openai_files import lines, request

TEXT = "A text."


def checked(*requests: dict[str, Any]) -> Checked:
    return check(lines(requests).splitlines(keepends=True))


def numbered(*bodies: dict[str, Any]) -> Checked:
    """Of lines with these bodies."""
    return checked(*(request(n, TEXT, **{"model": "a/b", **body}) for n, body in enumerate(bodies)))


def says(found: Checked) -> list[tuple[str, str | None, int | None]]:
    return [(each.code, each.param, each.line) for each in found.errors]


def parameters(**body: Any) -> Parameters:
    found = numbered(body)
    assert found.errors == []
    assert found.asked
    return found.asked.parameters


def test_all_lines_ask_for_one_thing() -> None:
    found = numbered(
        {"max_tokens": 9}, {"max_completion_tokens": 9, "user": "ann"}, {"max_tokens": 9}
    )
    assert found == Checked(Asked("a/b", None, Parameters(max_new_tokens=9)), [], "a/b")


def test_parameters_are_ours() -> None:
    greedy = {"temperature": 0, "top_p": 0.5, "n": 1, "stream": False, "tools": [], "stop": None}
    assert parameters(**greedy) == Parameters()
    assert parameters(temperature=0.5, top_p=0.9, seed=7) == Parameters(
        seed=7, generate={"do_sample": True, "temperature": 0.5, "top_p": 0.9}
    )
    assert parameters(top_p=0.9).generate == {"do_sample": True, "temperature": 1.0, "top_p": 0.9}
    assert parameters(num_beams=4, repetition_penalty=1.2) == Parameters(
        num_beams=4, generate={"repetition_penalty": 1.2}
    )


@pytest.mark.parametrize(
    ("body", "param"),
    [
        ({"tools": [{"type": "function"}]}, "body.tools"),
        ({"response_format": {"type": "json_object"}}, "body.response_format"),
        ({"logprobs": True}, "body.logprobs"),
        ({"n": 2}, "body.n"),
        ({"stream": True}, "body.stream"),
        ({"stop": "\n"}, "body.stop"),
        ({"reasoning_effort": "low"}, "body.reasoning_effort"),
        ({"frequency_penalty": 0.5}, "body.frequency_penalty"),
        ({"model": "lead-1", "max_tokens": 5}, None),
    ],
)
def test_what_can_not_be_kept_is_refused(body: dict[str, Any], param: str | None) -> None:
    assert says(numbered(body)) == [("unsupported_parameter", param, 1)]


@pytest.mark.parametrize(
    ("body", "param"),
    [
        ({"temperature": 3}, "body.temperature"),
        ({"temperature": "hot"}, "body.temperature"),
        ({"top_p": True}, "body.top_p"),
        ({"max_tokens": 0}, "body.max_tokens"),
        ({"max_tokens": 5, "max_completion_tokens": 6}, "body.max_completion_tokens"),
        ({"seed": -1}, "body.seed"),
        ({"model": "lead\0"}, "body.model"),
        ({"model": "\ud800"}, "body.model"),
        ({"model": "a/" * 5000}, "body.model"),
        ({"seed": [1]}, "body.seed"),
        ({"num_beams": "many"}, "body.num_beams"),
        ({"messages": [{"role": "system", "content": "Sum up."}]}, "body.messages"),
        ({"messages": [{"role": "tool", "content": "x"}]}, "body.messages"),
        ({"messages": [{"role": "user", "content": None}]}, "body.messages"),
        (
            {"messages": [{"role": "user", "content": [{"type": "image_url", "image_url": {}}]}]},
            "body.messages",
        ),
        (
            {"messages": [{"role": "system", "content": "\0"}, {"role": "user", "content": "x"}]},
            "body.messages",
        ),
    ],
)
def test_values_that_can_not_be_used(body: dict[str, Any], param: str) -> None:
    assert says(numbered(body)) == [("invalid_value", param, 1)]


def test_what_differs_is_named() -> None:
    system = [{"role": "system", "content": "Be brief."}, {"role": "user", "content": TEXT}]
    found = numbered(
        {}, {"model": "c/d"}, {"messages": system}, {"max_tokens": 3}, {"seed": 3}, {"top_k": 3}
    )
    assert says(found) == [
        ("mismatched_model", "body.model", 2),
        ("mismatched_parameters", "body.messages", 3),
        ("mismatched_parameters", "body.max_tokens", 4),
        ("mismatched_parameters", "body.seed", 5),
        ("mismatched_parameters", "body.top_k", 6),
    ]
    assert found.asked is None


@pytest.mark.parametrize(
    ("change", "code", "param"),
    [
        ({"custom_id": None}, "missing_required_parameter", "custom_id"),
        ({"custom_id": 7}, "missing_required_parameter", "custom_id"),
        ({"custom_id": "x" * 513}, "invalid_value", "custom_id"),
        ({"custom_id": "a\0"}, "invalid_value", "custom_id"),
        ({"method": "GET"}, "invalid_method", "method"),
        ({"url": "/v1/embeddings"}, "invalid_url", "url"),
        ({"body": "text"}, "missing_required_parameter", "body"),
        ({"body": {"messages": []}}, "missing_required_parameter", "body.messages"),
        (
            {"body": {"messages": [{"role": "user", "content": TEXT}]}},
            "missing_required_parameter",
            "body.model",
        ),
        (
            {"body": {"model": "gpt", "messages": [{"role": "user", "content": TEXT}]}},
            "model_not_found",
            "body.model",
        ),
    ],
)
def test_lines_that_are_no_request(change: dict[str, Any], code: str, param: str) -> None:
    assert says(checked({**request(0, TEXT), **change})) == [(code, param, 1)]


@pytest.mark.parametrize("line", [b"nonsense\n", b"[1]\n", b'"a"\n', b"\xff\n", b"{}{}\n"])
def test_lines_that_are_no_object(line: bytes) -> None:
    good = lines([request(0, TEXT)])
    assert says(check([good, b"\n", line])) == [("invalid_json_line", None, 3)]


def test_ids_that_come_again() -> None:
    found = checked(*(request(n, TEXT) for n in (0, 1, 0, 2, 1, 0)))
    assert says(found) == [("duplicate_custom_id", "custom_id", line) for line in (3, 5, 6)]
    assert "line 3 has" in found.errors[2].message


def test_an_empty_file() -> None:
    assert says(check([])) == says(check([b"\n", b"  \n"])) == [("empty_file", None, None)]


def test_so_many_errors_are_listed_and_no_more() -> None:
    bad = [{**request(n, TEXT), "method": "GET"} for n in range(MOST_ERRORS + 9)]
    assert [each.line for each in checked(*bad).errors] == [*range(1, MOST_ERRORS + 1)]


def test_a_byte_order_mark_is_passed_over() -> None:
    assert check([b"\xef\xbb\xbf" + json.dumps(request(0, TEXT)).encode()]).errors == []


def test_a_line_without_an_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(opened, "LARGEST", 200)
    content = lines([request(0, TEXT), request(1, "x" * 300)])
    found = check(opened.lines(io.BytesIO(content)))
    assert says(found) == [("invalid_json_line", None, 2)]
