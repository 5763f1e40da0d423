"""Writes packages/onnxgrad/fixtures/attribute-defaults.json: what ONNX takes for attributes that a node leaves out.

    python tools/make-attribute-defaults.py

Needs onnx. Of every operator of the standard domain that has an attribute with a default in opset 13 to 21.
"""

import json
from pathlib import Path

from onnx import defs, helper

OUT = Path(__file__).parent.parent / "packages/onnxgrad/fixtures/attribute-defaults.json"

table = {}
for name in sorted({schema.name for schema in defs.get_all_schemas() if schema.domain == ""}):
    for opset in range(13, 22):
        try:
            schema = defs.get_schema(name, opset, "")
        except defs.SchemaError:
            continue
        for attribute in schema.attributes.values():
            if not attribute.default_value.type:
                continue
            value = helper.get_attribute_value(attribute.default_value)
            if isinstance(value, list):
                continue  # Only of recurrent networks and text.
            value = value.decode() if isinstance(value, bytes) else value
            kind = attribute.type.name.lower()
            values = table.setdefault(name, {}).setdefault(attribute.name, {"kind": kind, "values": []})["values"]
            if value not in values:
                values.append(value)
rows = [f"  {json.dumps(op)}: {json.dumps(defaults)}" for op, defaults in table.items()]
OUT.write_text("{\n" + ",\n".join(rows) + "\n}\n")
