"""JSON-RPC 2.0: a table of requests and what is answered."""

from __future__ import annotations

from typing import Any

import pytest

from commissaire.service.rpc import answer

MESSAGE = object()


class Methods:
    def echo(self, message: object, words: str, times: int = 1) -> str:
        assert message is MESSAGE
        return words * times

    def fail(self, message: object) -> None:
        raise NotImplementedError("I was never created")


def find(name: str) -> Any:
    return getattr(Methods(), name, None)


def call(**body: Any) -> dict[str, Any]:
    return answer(find, {"jsonrpc": "2.0", "id": 7, **body}, MESSAGE)


@pytest.mark.parametrize(
    ("params", "result"), [({"words": "a"}, "a"), (["b", 2], "bb"), ({"words": "c", "times": 3}, "ccc")]
)
def test_arguments_come_by_name_or_position(params: Any, result: str) -> None:
    assert call(method="echo", params=params) == {"jsonrpc": "2.0", "id": 7, "result": result}


@pytest.mark.parametrize(
    ("body", "code", "text"),
    [
        ({"method": "nothing"}, -32601, "there is no method nothing"),
        ({"method": "echo"}, -32602, "echo: missing a required argument: 'words'"),
        ({"method": "echo", "params": {"word": 1}}, -32602, "echo: missing a required argument: 'words'"),
        ({"method": "echo", "params": {"words": "a", "message": 1}}, -32602, "multiple values for argument 'message'"),
        ({"method": "echo", "params": "a"}, -32600, "params must be an object or a list"),
        ({"method": 1}, -32600, "a request is"),
        ({"method": "echo", "jsonrpc": "1.0"}, -32600, "a request is"),
        ({"method": "fail"}, -32000, "I was never created"),
    ],
)
def test_what_goes_wrong_is_an_error_of_json_rpc(body: dict[str, Any], code: int, text: str) -> None:
    error = call(**body)["error"]
    assert (error["code"], text in error["message"]) == (code, True), error


def test_the_class_of_an_exception_is_told() -> None:
    assert call(method="fail")["error"]["data"] == {"exception": "NotImplementedError"}


def test_what_is_no_request_at_all_is_answered() -> None:
    for body in (None, [], "x", 1):
        assert answer(find, body, MESSAGE)["error"]["code"] == -32600
