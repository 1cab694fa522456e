"""What /virt answers: XML, and JSON with the same names where the client asks for it."""

from __future__ import annotations

import re
from typing import Any
from xml.etree import ElementTree
from xml.sax.saxutils import quoteattr

from fastapi import Request, Response
from fastapi.responses import JSONResponse

_VARY = {"Vary": "Accept"}
_DECLARATION = '<?xml version="1.0" encoding="UTF-8"?>\n'
_NO_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
"""What no XML document can hold (XML 1.0, production 2), not even escaped."""


def answer(request: Request, stylesheet: str, name: str, content: dict[str, Any]) -> Response:
    """Show *content* as the client asks for it: XML with the root *name*, before which *stylesheet* is named, or JSON.

    Each entry of a list is an element called as its key. What is XML itself, `xml`, is the whole document.
    """
    if prefers_json(",".join(request.headers.getlist("accept"))):
        return JSONResponse(content, headers=_VARY)
    return Response(document(stylesheet, name, content), media_type="application/xml", headers=_VARY)


def document(stylesheet: str, name: str, content: dict[str, Any]) -> str:
    """Return *content* as a document of XML, see `answer`."""
    named = f'<?xml-stylesheet type="text/xsl" href={quoteattr(stylesheet)}?>\n' if stylesheet else ""
    if "xml" in content:
        return f"{_DECLARATION}{named}{content['xml']}"
    root = ElementTree.Element(name)
    _fill(root, content)
    return f"{_DECLARATION}{named}{ElementTree.tostring(root, encoding='unicode')}"


def prefers_json(accept: str) -> bool:
    """Tell whether an `Accept` header has JSON before XML; without a preference it is XML."""
    return _quality(accept, "application/json") > max(_quality(accept, "application/xml"), _quality(accept, "text/xml"))


def _quality(accept: str, media_type: str) -> float:
    """Return how welcome a media type is, by the most specific range that has it (RFC 9110, section 12.5.1)."""
    ranges = ("*/*", f"{media_type.partition('/')[0]}/*", media_type)
    found = {"*/*": 1.0} if not accept.strip() else {}
    for part in accept.lower().split(","):
        name, *parameters = (piece.strip() for piece in part.split(";"))
        quality = next((one[2:] for one in parameters if one.startswith("q=")), "1")
        if name in ranges:
            found[name] = float(quality) if re.fullmatch(r"[01](\.\d{0,3})?", quality) else 0.0
    return next((found[name] for name in reversed(ranges) if name in found), 0.0)


def _fill(element: ElementTree.Element, content: dict[str, Any]) -> None:
    for name, value in content.items():
        for one in value if isinstance(value, list) else [value]:
            child = ElementTree.SubElement(element, name)
            if isinstance(one, dict):
                _fill(child, one)
            elif one is not None:
                child.text = _NO_XML.sub("\ufffd", str(one))
