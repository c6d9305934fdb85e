"""Trim WaveSpeed's model listing to what translation needs.

Usage: python tools/catalogue.py REPLY.json DATE > imagegen/backends/wavespeed/models.json

REPLY.json is the body of `GET /api/v3/models`, DATE the day it was captured (YYYY-MM-DD).
"""

import json
import sys
from pathlib import Path
from typing import Any

from imagegen.backends.wavespeed.prices import IMAGE_TYPES, priced_per

COMMON_FIELDS = (
    "prompt", "size", "aspect_ratio", "num_images", "seed", "image", "images",
    "prompt_optimizer", "enable_prompt_expansion", "enable_sync_mode", "enable_base64_output",
)  # fmt: skip
RULES = ("type", "enum", "minimum", "maximum", "minItems", "maxItems", "default")


def main(reply: str, date: str) -> None:
    """Print the trimmed catalogue, one model a line so that a refresh diffs well."""
    listing = json.loads(Path(reply).read_text(encoding="utf-8"), parse_float=str)
    models = {m["model_id"]: trimmed(m) for m in listing["data"] if m["type"] in IMAGE_TYPES}
    print('{"source": "GET https://api.wavespeed.ai/api/v3/models",')
    print(f' "as_of": "{date}",\n "models": {{')
    print(",\n".join(f"  {json.dumps(k)}: {json.dumps(models[k])}" for k in sorted(models)))
    print(" }}")


def trimmed(model: dict[str, Any]) -> dict[str, Any]:
    """Keep the price, the required inputs and the rules of the inputs every backend knows."""
    schema = model["api_schema"]["api_schemas"][0]["request_schema"]
    properties = schema["properties"]
    return {
        "type": model["type"],
        "price": str(model["base_price"]),
        "per": priced_per(model["formula"]),
        "required": sorted(schema.get("required", ())),
        "inputs": {
            name: {rule: properties[name][rule] for rule in RULES if rule in properties[name]}
            for name in COMMON_FIELDS
            if name in properties
        },
        "others": sorted(properties.keys() - set(COMMON_FIELDS)),
    }


if __name__ == "__main__":
    main(*sys.argv[1:])
