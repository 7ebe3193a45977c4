"""Text from files, from folders and from names that others gave, made harmless for a terminal, a table or a picture."""

from __future__ import annotations

import unicodedata

_UNSEEN = ("Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp")  # control, direction marks, lone surrogates, no character


def visible(text: str, kept: str = "") -> str:
    """`text` with a replacement character for each that is not seen, but may steer what shows it.

    Args:
        kept: characters that stay, such as the end of a line.
    """
    return "".join(
        "\N{REPLACEMENT CHARACTER}" if unicodedata.category(c) in _UNSEEN and c not in kept else c for c in text
    )
