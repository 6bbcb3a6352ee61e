"""Print the SDL of the API into `mobile_contract/schema.graphql`; with `--check`, only say whether it is up to date."""

import argparse
import sys
from pathlib import Path

from api.graph import build_schema, printed
from api.settings import Settings

SDL = Path(__file__).parent.parent / "mobile_contract" / "schema.graphql"


def main() -> int:
    parser = argparse.ArgumentParser(prog="scripts/export", description=__doc__)
    parser.add_argument("--check", action="store_true", help="write nothing; exit 1 when the file is out of date")
    wanted = printed(build_schema(Settings()))
    if parser.parse_args().check:
        same = SDL.exists() and SDL.read_text(encoding="utf-8") == wanted
        print("The SDL is up to date." if same else "The SDL has changed: run scripts/export and read the difference.")
        return 0 if same else 1
    SDL.write_text(wanted, encoding="utf-8")
    print(f"Wrote {SDL.relative_to(Path.cwd()) if SDL.is_relative_to(Path.cwd()) else SDL}.")
    return 0


if __name__ == "__main__":
    sys.exit(main())
