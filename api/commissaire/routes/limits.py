"""Limits of rolling operations in requests: the form is told here, `commissaire.fleet.limits` holds to it in words."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import BeforeValidator, Field, StrictInt, StrictStr, WithJsonSchema


def _whole(value: Any) -> Any:
    return int(value) if isinstance(value, float) and value.is_integer() else value


WholeNumber = Annotated[StrictInt, BeforeValidator(_whole)]
"""An integer as JSON Schema has it: `5.0` is one."""


def _form(least: int) -> WithJsonSchema:
    number, percentage = (
        ("[1-9][0-9]{0,5}", "[1-9][0-9]?|100") if least else ("0|[1-9][0-9]{0,5}", "[0-9]|[1-9][0-9]|100")
    )
    return WithJsonSchema(
        {
            "anyOf": [
                {"type": "integer", "minimum": least, "maximum": 999999},
                {"type": "string", "pattern": f"^({number}|({percentage})%)$"},
                {"type": "null"},
            ]
        }
    )


MaxUnavailable = Annotated[
    WholeNumber | StrictStr | None,
    _form(least=1),
    Field(description="Hosts away at once: a number, or a percentage such as `25%`. Default 1."),
]
MaxFailures = Annotated[
    WholeNumber | StrictStr | None,
    _form(least=0),
    Field(description="Hosts that may fail before no further one starts: a number, or a percentage. Default 0."),
]
