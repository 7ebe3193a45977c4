"""Collect photographs from Flickr: with their licences, cut to one size, ready to train on.

python -m data_tools.flickr search --output reptiles --preset reptiles arachnids
python -m data_tools.flickr download --output reptiles
python -m data_tools.flickr prepare --output reptiles --size 108
python -m data_tools.flickr status --output reptiles
python -m data_tools.flickr export --output reptiles --format array --to reptiles108

Each command can be stopped at any instant; the same command again goes on where it was.
`python -m data_tools.flickr COMMAND --help` lists what a command takes. Only search needs a key of Flickr's API, in
FLICKR_API_KEY or in a file that --key-file names.
"""

from __future__ import annotations

import collections
import dataclasses
import sys
from collections.abc import Callable
from typing import Any

from data_tools import command
from data_tools.errors import DataError, UsageError
from data_tools.flickr import checks, duplicates, licences, queries
from data_tools.flickr.arguments import FLICKR_API, Collection, Download, Export, Prepare, Search, Status, check_numbers
from data_tools.flickr.manifest import write_manifest
from data_tools.flickr.store import Store
from data_tools.pictures import quietly
from data_tools.progress import counting

PROG = "python -m data_tools.flickr"
_FLICKRS_RATE = 3_600  # API requests per hour that Flickr allows a key


def main(argv: list[str]) -> None:
    if not argv or argv[0] in ("-h", "--help"):
        print(__doc__.strip())
        if not argv:
            raise UsageError(f"a command is needed: {', '.join(COMMANDS)}")
        return
    if argv[0] not in COMMANDS:
        raise UsageError(f"the command must be one of {', '.join(COMMANDS)}. Received: {argv[0]}")
    kind, work = COMMANDS[argv[0]]
    arguments = command.parse(kind, argv[1:], prog=f"{PROG} {argv[0]}")
    check_numbers(arguments)
    with quietly():
        work(arguments)


def run_search(arguments: Search) -> None:
    from data_tools.flickr import api, fetching, search

    wanted = _queries(arguments)
    endpoint = api.check_endpoint(arguments.endpoint)
    for name in arguments.licences:
        if name not in licences.LICENCES:
            raise UsageError(f"--licences must be among {', '.join(licences.LICENCES)}. Received: {name}")
    if endpoint == FLICKR_API and arguments.rate > _FLICKRS_RATE:
        raise UsageError(f"--rate must be at most {_FLICKRS_RATE:,}, what Flickr allows. Received: {arguments.rate}")
    key = api.read_key(arguments.key_file)
    with Store(arguments.output, create=True) as store:
        fetcher = fetching.Fetcher(store, "api", fetching.Manners(**_manners(arguments)), key)
        flickr = api.FlickrApi(fetcher, endpoint, key)
        known = search.ask_licences(flickr)
        allowed = set(arguments.licences) & {licence.short for licence in known if licence.short}
        if not allowed:
            raise DataError(f"{endpoint} knows none of the licences {', '.join(arguments.licences)}")
        search.plan(store, wanted, allowed)
        found: collections.Counter[str] = collections.Counter()
        try:
            with counting("searching", search.wanted(store, wanted, arguments.limit)) as advance:
                search.Search(
                    *(store, flickr, known, allowed),
                    may_fetch=fetcher.allowed,
                    shorter_side=arguments.shorter_side,
                    limit=arguments.limit,
                    advance=advance,
                    found=found,
                ).run(wanted)
        finally:
            print("\n".join(search.summary(store, wanted, found)))
        _conclude(store)
        search.check_ends(store, wanted)


def run_download(arguments: Download) -> None:
    from data_tools.flickr import api, download, fetching

    api.check_endpoint(arguments.endpoint)
    with Store(arguments.output) as store:
        if arguments.again:
            command.report(f"{download.again(store):,} photographs to fetch again")
        total = download.pending(store)
        fetcher = fetching.Fetcher(store, "images", fetching.Manners(**_manners(arguments)))
        rules = checks.Rules(arguments.min_side, arguments.max_aspect)
        try:
            with counting("downloading", min(total, arguments.limit or total)) as advance:
                ended = download.download(
                    *(store, fetcher),
                    rules=rules,
                    limit=arguments.limit,
                    workers=arguments.workers,
                    advance=advance,
                )
        finally:
            _conclude(store)
    if ended["failed"]:
        command.report(f"{ended['failed']:,} photographs could not be fetched: the same command tries them again")


def run_prepare(arguments: Prepare) -> None:
    from data_tools.flickr import prepare

    with Store(arguments.output) as store:
        duplicates.set_copies_aside(store, arguments.near)
        total = len(prepare.pending(store, arguments.size, arguments.fit, arguments.limit))
        with counting("preparing", total) as advance:
            ended = prepare.prepare(
                store,
                size=arguments.size,
                fit=arguments.fit,
                limit=arguments.limit,
                workers=arguments.workers,
                advance=advance,
            )
        if not arguments.keep_originals:
            command.report(f"{prepare.discard_originals(store, arguments.size, arguments.fit):,} originals deleted")
        missing = prepare.without_original(store, arguments.size, arguments.fit)
        enlarged = prepare.enlarged(store, arguments.size, arguments.fit)
        if enlarged:
            command.report(
                f"{enlarged:,} of the pictures are enlarged to {arguments.size} pixels from smaller photographs. "
                f"With new photographs, search --shorter-side {arguments.size} finds larger files"
            )
        _conclude(store)
    if ended["to be fetched again"] or missing:
        raise DataError(
            f"{ended['to be fetched again'] + missing:,} photographs have no original any more: "
            f"run download --again, then prepare"
        )


def run_status(arguments: Status) -> None:
    from data_tools.flickr import status

    with Store(arguments.output, alone=False) as store:
        counts = _conclude(store, say=False)
        print(status.table(counts))


def run_export(arguments: Export) -> None:
    from data_tools.flickr import export

    with Store(arguments.output) as store:
        total = store.value("SELECT count(*) FROM prepared WHERE size = ?", arguments.size)
        with counting("exporting", total) as advance:
            count = export.export(
                *(store, arguments.to),
                format=arguments.format,
                size=arguments.size,
                link=arguments.link,
                shard_size=arguments.shard_size,
                advance=advance,
            )
    print(f"{count:,} pictures  {arguments.to}")


def _queries(arguments: Search) -> list[queries.Query]:
    wanted = [query for name in arguments.preset for query in queries.PRESETS[name]]
    for kind in ("tags", "text"):
        wanted += [queries.parse_query(kind, given) for given in getattr(arguments, kind)]
    if not wanted:
        raise UsageError("search needs --preset, --tags or --text")
    if arguments.per_query is not None:
        wanted = [dataclasses.replace(query, target=arguments.per_query) for query in wanted]
    return wanted


def _manners(arguments: Search | Download) -> dict[str, Any]:
    return {name: getattr(arguments, name) for name in ("endpoint", "rate", "retries", "retry_wait", "timeout")}


def _conclude(store: Store, say: bool = True) -> dict:
    """Bring manifest, attribution and status up to date, and say the totals."""
    from data_tools.flickr import status

    write_manifest(store)
    counts = status.status(store)
    status.write_status(store, counts)
    if say:
        numbers = ", ".join(f"{count:,} {state.replace('_', ' ')}" for state, count in counts["photographs"].items())
        command.report(numbers)
    return counts


COMMANDS: dict[str, tuple[type[Collection], Callable]] = {
    "search": (Search, run_search),
    "download": (Download, run_download),
    "prepare": (Prepare, run_prepare),
    "status": (Status, run_status),
    "export": (Export, run_export),
}

if __name__ == "__main__":
    sys.exit(command.run(main))
