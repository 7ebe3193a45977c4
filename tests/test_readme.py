"""What the README lists is what there is."""

import re
from pathlib import Path

from models_zoo import VARIANTS, load_variant

README = (Path(__file__).parents[1] / "README.md").read_text(encoding="utf-8")


def test_the_table_of_variants_is_complete():
    rows = re.findall(r"^\| `(\w+)` \| [^|]*\d{4}[^|]* \| (yes)? *\|$", README, re.MULTILINE)
    assert {name: bool(yes) for name, yes in rows} == {name: load_variant(name).conditional for name in VARIANTS}
