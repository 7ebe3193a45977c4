"""What to search for: the presets, and queries of one's own."""

from __future__ import annotations

import dataclasses
import re

from data_tools.errors import UsageError
from data_tools.flickr.store import CLASS_NAME
from data_tools.splits import FOLDER_NAMES

DEFAULT_TARGET = 1_000  # photographs of a query that does not say how many


@dataclasses.dataclass(frozen=True)
class Query:
    """One search.

    Attributes:
        class_name: the class folder of its photographs, `[a-z0-9_-]+`.
        kind: `"tags"` (any of them, separated by commas) or `"text"` (title, description and tags).
        words: what is searched for.
        target: how many photographs to find.
    """

    class_name: str
    kind: str
    words: str
    target: int = DEFAULT_TARGET

    @property
    def key(self) -> str:
        """What tells this query from others of a collection."""
        return f"{self.class_name}: {self.kind} {self.words}"


def _taxa(target: int, **taxa: str) -> tuple[Query, ...]:
    return tuple(Query(name, "tags", tags, target) for name, tags in taxa.items())


# After the collection of Gunnlaugsson, Vignisson and Hamesse, Evaluation of Spectral Normalization for GANs Using
# Inception Score, section 3.1: about 30,000 photographs, mostly reptiles, with a fair amount of arachnids. The paper
# does not list its search words; these taxa are ours.
PRESETS = {
    "reptiles": _taxa(
        1_500,
        agama="agama,agamidae,beardeddragon",
        alligator="alligator,caiman",
        anole="anole,anolis",
        chameleon="chameleon,chamaeleonidae",
        crocodile="crocodile,crocodylus,gharial",
        gecko="gecko,gekkonidae",
        iguana="iguana,iguanidae",
        monitor_lizard="monitorlizard,varanus,komododragon",
        skink="skink,scincidae",
        wall_lizard="walllizard,podarcis,lacertidae",
        boa="boaconstrictor,boidae,anaconda",
        colubrid="gartersnake,ratsnake,kingsnake,colubridae",
        python="pythonidae,ballpython,burmesepython",
        viper="viper,viperidae,rattlesnake",
        tortoise="tortoise,testudinidae",
        turtle="turtle,terrapin,seaturtle",
    ),
    "arachnids": _taxa(
        1_000,
        harvestman="harvestman,opiliones",
        jumping_spider="jumpingspider,salticidae",
        orb_weaver="orbweaver,araneidae,gardenspider",
        scorpion="scorpion,scorpiones",
        tarantula="tarantula,theraphosidae",
        wolf_spider="wolfspider,lycosidae",
    ),
}


def parse_query(kind: str, given: str, target: int = DEFAULT_TARGET) -> Query:
    """A query from `[CLASS=]WORDS`; without a class the words name it.

    Raises:
        UsageError: for empty words, or a class that cannot be a class folder's name.
    """
    name, equals, words = given.partition("=")
    if not equals:
        name, words = re.sub(r"[^a-z0-9-]+", "_", given.lower()).strip("_"), given
    words = " ".join(words.split())
    if not CLASS_NAME.fullmatch(name) or not words:
        raise UsageError(
            f"--{kind} takes [CLASS=]WORDS with a class of small letters, digits, - and _, such as "
            f"sea_turtle=seaturtle,cheloniidae. Received: {given!r}"
        )
    if name in FOLDER_NAMES:
        raise UsageError(
            f"--{kind}: a class must not be named as a split, such as {name}: give it another name, "
            f"as in {name}s={words}. Received: {given!r}"
        )
    return Query(name, kind, words, target)
