"""The OpenAPI document, made of the operations themselves."""

from __future__ import annotations

from typing import Any

from keyfob import __version__
from keyfob.gateway.admin.fields import Field
from keyfob.gateway.admin.operation import Operation
from keyfob.gateway.admin.operations import OPERATIONS
from keyfob.gateway.admin.schemas import SCHEMAS


def document() -> dict[str, Any]:
    """OpenAPI 3.1."""
    paths: dict[str, dict[str, Any]] = {}
    for one in OPERATIONS:
        paths.setdefault(one.path, {})[one.method.lower()] = _operation(one)
    return {
        "openapi": "3.1.0",
        "info": {"title": "Administration of a Keyfob gateway", "version": __version__},
        "paths": paths,
        "security": [{"key": []}],
        "components": {
            "schemas": SCHEMAS,
            "securitySchemes": {"key": {"type": "http", "scheme": "bearer"}},
        },
    }


def _operation(one: Operation) -> dict[str, Any]:
    asked = [_parameter(field, "path") for field in one.path_fields]
    found: dict[str, Any] = {"operationId": one.name, "summary": one.summary}
    if one.method == "GET":
        asked += [_parameter(field, "query") for field in one.inputs]
    elif one.inputs:
        found["requestBody"] = {
            "required": any(field.required for field in one.inputs),
            "content": {"application/json": {"schema": _body(one)}},
        }
    if asked:
        found["parameters"] = asked
    found["responses"] = {
        str(one.status): _response("application/json", one.answer, "Done."),
        "default": _response("application/problem+json", "Problem", "Refused, with the reason."),
    }
    return found


def _parameter(field: Field, place: str) -> dict[str, Any]:
    schema = field.schema()
    meaning = schema.pop("description")
    required = field.required or place == "path"
    return {"name": field.name, "in": place, "required": required, "description": meaning, "schema": schema}


def _body(one: Operation) -> dict[str, Any]:
    return {
        "type": "object",
        "properties": {field.name: field.schema() for field in one.inputs},
        "required": [field.name for field in one.inputs if field.required],
        "additionalProperties": False,
    }


def _response(kind: str, schema: str, meaning: str) -> dict[str, Any]:
    return {
        "description": meaning,
        "content": {kind: {"schema": {"$ref": f"#/components/schemas/{schema}"}}},
    }
