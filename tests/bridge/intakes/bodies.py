"""Bodies as the sources send them, one folder a source; all values are made up."""

from __future__ import annotations

import copy
import json
from pathlib import Path
from typing import Any

BODIES = Path(__file__).parent / "bodies"


def raw(name: str) -> bytes:
    """Return a body byte for byte, by `source/NN`."""
    source, number = name.split("/")
    [path] = (BODIES / source).glob(f"{number}-*.json")
    return path.read_bytes()


def body(name: str, **changes: Any) -> Any:
    """Return a body with some of its values changed, by their paths: `data__key__id="x"`; a None takes one out."""
    tree = copy.deepcopy(json.loads(raw(name)))
    for path, value in changes.items():
        node = tree
        *way, last = path.split("__")
        for key in way:
            node = node[int(key) if isinstance(node, list) else key]
        if value is None:
            node.pop(last, None)
        else:
            node[int(last) if isinstance(node, list) else last] = value
    return tree
