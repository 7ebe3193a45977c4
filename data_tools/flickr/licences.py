"""Licences as Flickr names them, and which of them allow a picture to be cut, resized and trained on."""

from __future__ import annotations

import dataclasses
import re

# short name -> what it is; chosen by the address of the licence, as Flickr's numbers change with new versions
LICENCES = {
    "by": "Attribution",
    "by-sa": "Attribution, share alike",
    "by-nc": "Attribution, non-commercial",
    "by-nc-sa": "Attribution, non-commercial, share alike",
    "cc0": "Public domain dedication",
    "pdm": "Public domain mark",
    "us-government": "United States government work",
    "no-known-restrictions": "No known copyright restrictions: a library's statement, not a licence",
    "by-nd": "Attribution, no derivatives",
    "by-nc-nd": "Attribution, non-commercial, no derivatives",
    "all-rights-reserved": "All rights reserved",
}
PERMIT_DERIVATIVES = ("by", "by-sa", "by-nc", "by-nc-sa", "cc0", "pdm", "us-government")


@dataclasses.dataclass(frozen=True)
class Licence:
    """One entry of the answer to `flickr.photos.licenses.getInfo`.

    Attributes:
        number: Flickr's number of it, as text.
        name: as Flickr writes it.
        url: its text.
        short: a key of `LICENCES`; None for one that is not known here, which is never asked for.
    """

    number: str
    name: str
    url: str
    short: str | None


def short_name(name: str, url: str) -> str | None:
    """The key of `LICENCES` for a licence of this name and address; None if it is none of them."""
    found = re.match(r"https?://(?:www\.)?creativecommons\.org/(licenses|publicdomain)/([a-z-]+)(?:/|$)", url)
    if found:
        kind, slug = found.groups()
        short = {"zero": "cc0", "mark": "pdm"}.get(slug) if kind == "publicdomain" else slug
        return short if short in LICENCES else None
    plain = name.strip().lower()
    return {
        "all rights reserved": "all-rights-reserved",
        "no known copyright restrictions": "no-known-restrictions",
        "united states government work": "us-government",
    }.get(plain)
