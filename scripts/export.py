"""Write what `mobile_contract` holds of the API: the SDL, and the manifest of trusted documents."""

import argparse
import sys

from api.graph import build_schema, printed
from api.settings import Settings
from mobile_contract import documents

SDL = documents.FOLDER / "schema.graphql"


def main() -> int:
    parser = argparse.ArgumentParser(prog="scripts/export", description=__doc__)
    parser.add_argument("--check", action="store_true", help="write nothing; exit 1 when the file is out of date")
    wanted = {
        SDL: printed(build_schema(Settings())),
        documents.MANIFEST: documents.printed(documents.manifest()),
    }
    changed = [file for file, text in wanted.items() if not file.exists() or file.read_text(encoding="utf-8") != text]
    if parser.parse_args().check:
        for file in changed:
            print(f"{file.name} is out of date: run scripts/export and read the difference.")
        return 1 if changed else 0
    for file in changed:
        file.write_text(wanted[file], encoding="utf-8")
        print(f"Wrote mobile_contract/{file.name}.")
    return 0


if __name__ == "__main__":
    sys.exit(main())
