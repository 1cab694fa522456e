"""JSON-RPC 2.0: from a request to what is answered (https://www.jsonrpc.org/specification)."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

import structlog

INVALID_REQUEST = -32600
METHOD_NOT_FOUND = -32601
INVALID_PARAMS = -32602
METHOD_FAILED = -32000
"""The method raised an exception: its text is the error's message, its class is in the error's data."""

log = structlog.get_logger(__name__)


def request(method: str, params: dict[str, Any] | list[Any], request_id: str) -> dict[str, Any]:
    """Make a request; the answer has its id."""
    return {"jsonrpc": "2.0", "method": method, "params": params, "id": request_id}


def answer(find: Callable[[str], Callable[..., Any] | None], body: Any, message: Any) -> dict[str, Any]:
    """Call the method that *body* asks for, with *message* as its first argument; return the response."""
    if not isinstance(body, dict) or body.get("jsonrpc") != "2.0" or not isinstance(body.get("method"), str):
        return _error(None, INVALID_REQUEST, 'a request is {"jsonrpc": "2.0", "id": …, "method": …, "params": …}')
    request_id, name, params = body.get("id"), body["method"], body.get("params") or {}
    if not isinstance(params, (dict, list)):
        return _error(request_id, INVALID_REQUEST, "params must be an object or a list")
    method = find(name)
    if method is None:
        return _error(request_id, METHOD_NOT_FOUND, f"there is no method {name}")
    args, kwargs = ([], params) if isinstance(params, dict) else (params, {})
    try:
        inspect.signature(method).bind(message, *args, **kwargs)
    except TypeError as error:
        return _error(request_id, INVALID_PARAMS, f"{name}: {error}")
    try:
        return {"jsonrpc": "2.0", "id": request_id, "result": method(message, *args, **kwargs)}
    except Exception as error:
        return failed(body, error)


def failed(body: dict[str, Any], error: Exception) -> dict[str, Any]:
    """Log what a method raised, or why its result can't be sent, from where it is caught; return the response."""
    log.exception("method_failed", method=body["method"])
    return _error(body.get("id"), METHOD_FAILED, str(error), exception=type(error).__name__)


def _error(request_id: Any, code: int, text: str, **data: Any) -> dict[str, Any]:
    error = {"code": code, "message": text, **({"data": data} if data else {})}
    return {"jsonrpc": "2.0", "id": request_id, "error": error}
