"""Write the files of `mobile_contract` that the API defines: the SDL, the manifest of trusted documents, the level.

An addition to the contract raises the level. A breaking change is refused, unless `--breaking` gives the reason and
`--until` gives the last day on which phones of earlier levels still work.
"""

import argparse
import json
import sys
from collections.abc import Mapping
from datetime import date, datetime
from typing import Any

from api.server.graphql_schema import build_schema, print_sdl
from api.settings import Settings
from mobile_contract import documents, levels
from mobile_contract.documents import FOLDER, MANIFEST, RETIRED
from mobile_contract.levels import CHANGELOG, FILE, OLDEST, SDL, BreakingChangeError, ContractChange, Levels
from schema.core.times import BEIJING


def plan_files(
    old: Mapping[str, str],
    sdl: str,
    manifest: Mapping[str, Any],
    today: date,
    *,
    why: str | None = None,
    until: date | None = None,
    texts: str | None = None,
) -> dict[str, str]:
    """Return the new text of each file of the contract, by file name. `old` holds the old texts.

    Raise `BreakingChangeError` if a change is breaking and `why` or `until` is missing.
    Raise it also if phones in use send documents that the new SDL does not accept.
    """
    before = json.loads(old[MANIFEST.name])
    changes = [*levels.changes_of(old[SDL.name], sdl), *levels.document_changes(before, manifest)]
    if texts:
        changes.append(ContractChange(texts))
    new = {SDL.name: sdl, MANIFEST.name: documents.manifest_text(manifest)}
    if not changes:
        return new
    breaking = [change for change in changes if change.is_breaking]
    if breaking and not (why and until):
        raise BreakingChangeError(
            "This breaks phones. Give --breaking WHY and --until DATE, or undo the change.", breaking
        )
    levels_before = Levels.parse(old[FILE.name])
    raised = levels_before.next_level(until if breaking else None)
    retired = levels.retire(before, manifest, json.loads(old[RETIRED.name])["operations"], levels_before.current)
    if faults := [ContractChange(fault) for fault in levels.broken_documents(sdl, retired, raised.oldest)]:
        raise BreakingChangeError("Phones in use send documents that don't fit this SDL.", faults)
    new |= {
        FILE.name: raised.as_text(),
        RETIRED.name: documents.manifest_text({"operations": retired}),
        CHANGELOG.name: levels.add_entry(old[CHANGELOG.name], raised.current, today, why, changes),
    }
    return new | ({OLDEST.name: sdl} if breaking else {})


def main() -> int:
    parser = argparse.ArgumentParser(prog="scripts/export", description=__doc__)
    parser.add_argument("--check", action="store_true", help="write nothing; exit 1 if a file is out of date")
    parser.add_argument("--breaking", metavar="WHY", help="allow a breaking change, for this reason")
    parser.add_argument(
        "--until", type=date.fromisoformat, metavar="DATE", help="last day on which phones of earlier levels work"
    )
    parser.add_argument(
        "--texts", metavar="WHAT", help="raise the level for descriptions or messages alone, and say what changed"
    )
    options = parser.parse_args()
    old = {file.name: file.read_text(encoding="utf-8") for file in (SDL, OLDEST, MANIFEST, RETIRED, FILE, CHANGELOG)}
    sdl, today = print_sdl(build_schema(Settings())), datetime.now(BEIJING).date()
    try:
        new = plan_files(
            old, sdl, documents.manifest(), today, why=options.breaking, until=options.until, texts=options.texts
        )
    except BreakingChangeError as error:
        print(error, file=sys.stderr)
        return 1
    changed = [name for name, text in new.items() if old[name] != text]
    if options.check:
        for name in changed:
            print(f"{name} is out of date: run scripts/export and read the difference.")
        return 1 if changed else 0
    for name in changed:
        (FOLDER / name).write_text(new[name], encoding="utf-8")
        print(f"Wrote mobile_contract/{name}.")
    return 0


if __name__ == "__main__":
    sys.exit(main())
