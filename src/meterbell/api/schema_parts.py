"""What JSON schemas of answers are put together from."""

from typing import Any

Schema = dict[str, Any]

TEXT: Schema = {"type": "string"}
INTEGER: Schema = {"type": "integer"}
TIME: Schema = {"type": "integer", "description": "Unix seconds."}
FLAG: Schema = {"type": "boolean"}
ANY_OBJECT: Schema = {"type": "object"}
TEXTS: Schema = {"type": "object", "additionalProperties": TEXT}


def or_null(schema: Schema) -> Schema:
    """Return a schema that null has, too."""
    return {"anyOf": [schema, {"type": "null"}]}


def one_of(*values: str) -> Schema:
    """Return the schema of one of a few words."""
    return {"type": "string", "enum": list(values)}


def list_of(item: Schema) -> Schema:
    """Return the schema of an array."""
    return {"type": "array", "items": item}


def ref(name: str) -> Schema:
    """Return a reference to a schema that has a name."""
    return {"$ref": f"#/components/schemas/{name}"}


def object_of(fields: dict[str, Schema], *, optional: frozenset[str] = frozenset()) -> Schema:
    """Return an object whose fields are all there, but for the optional ones."""
    return {
        "type": "object",
        "properties": fields,
        "required": [name for name in fields if name not in optional],
    }


def record_of(kind: str, fields: dict[str, Schema], **more: Any) -> Schema:  # noqa: ANN401
    """Return an object that names its kind and its mode."""
    return object_of({"object": one_of(kind), "livemode": FLAG, **fields}, **more)


def deleted_of(kind: str) -> Schema:
    """Return the schema of what is left of a deleted object."""
    return object_of({"id": TEXT, "object": one_of(kind), "deleted": {"const": True}})


NULL_TEXT = or_null(TEXT)
