"""Comparing names people typed: the same name in other case, with or without accents, `_` or several spaces. Pure."""

from __future__ import annotations

import unicodedata
from functools import lru_cache


# The names of stages, flows and objections are few, and compared with every interaction.
@lru_cache(maxsize=4096)
def name_key(text: str) -> str:
    """Return what two spellings of one name have in common: casefolded, no accents, `_` as space, spaces collapsed."""
    decomposed = unicodedata.normalize("NFKD", text.replace("_", " ").casefold())
    bare = "".join(character for character in decomposed if not unicodedata.combining(character))
    return " ".join(bare.split())
