# Copyright 2026 The HTR-ConvText for transformers authors.
# SPDX-License-Identifier: Apache-2.0
"""
Every package that the project brings along, with its licence as its own metadata state it: the table of licences.md.
The environment must have all extras.

python docs/licences.py           # prints the table
python docs/licences.py --write   # puts it into docs/licences.md
"""

import argparse
import configparser
import re
from collections.abc import Iterator
from importlib.metadata import Distribution, PackageNotFoundError, distribution
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).resolve().parent.parent
PAGE = ROOT / "docs" / "licences.md"
OWN = "htr-convtext"
TEST = "test"
CORE = "core"
TABLE = re.compile(r"^\| package.*\|\n", re.DOTALL | re.MULTILINE)
HEADER = "| package | licence | comes with |\n|---|---|---|\n"
LONGEST_NAME = 60  # Longer ones are the text of a licence.


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--write", action="store_true", help="put the table into docs/licences.md")
    options = parser.parse_args(arguments)
    if options.write:
        PAGE.write_text(TABLE.sub(lambda _: table(), PAGE.read_text(encoding="utf-8")), encoding="utf-8")
    else:
        print(table(), end="")


def table() -> str:
    groups = {name: names_brought_by(requirements) for name, requirements in asked_for().items()}
    rows = []
    for name in sorted(set().union(*groups.values())):
        users = [group for group, names in groups.items() if name in names]
        rows.append(f"| {name} | {licence(distribution(name))} | {CORE if CORE in users else ', '.join(users)} |\n")
    return HEADER + "".join(rows)


def asked_for() -> dict[str, list[Requirement]]:
    """What the core and each extra of setup.cfg ask for, but for the tests' own."""
    setup = configparser.ConfigParser()
    setup.read(ROOT / "setup.cfg", encoding="utf-8")
    asked = {CORE: setup["options"]["install_requires"], **setup["options.extras_require"]}
    lines = {name: [line for line in text.splitlines() if line] for name, text in asked.items() if name != TEST}
    return {name: [Requirement(line) for line in wanted] for name, wanted in lines.items()}


def names_brought_by(requirements: list[Requirement]) -> set[str]:
    """Names of all packages that are installed for requirements on this system."""
    waiting, found = list(requirements), set()
    seen: set[tuple[str, frozenset[str]]] = set()
    while waiting:
        requirement = waiting.pop()
        name = canonicalize_name(requirement.name)
        if (name, frozenset(requirement.extras)) in seen:
            continue
        seen.add((name, frozenset(requirement.extras)))
        if name == OWN:
            waiting += [each for extra in requirement.extras for each in asked_for()[extra]]
            continue
        found.add(name)
        waiting += needs(name, requirement.extras)
    return found


def needs(name: str, extras: set[str]) -> Iterator[Requirement]:
    try:
        requires = distribution(name).requires or ()
    except PackageNotFoundError as error:
        raise SystemExit(f"{name} is not installed: install all extras first.") from error
    for requirement in map(Requirement, requires):
        marker = requirement.marker
        if marker is None or any(marker.evaluate({"extra": extra}) for extra in (extras or {""})):
            yield requirement


def licence(package: Distribution) -> str:
    """The licence's name: an SPDX expression if there is one, or what the classifiers or the field of old say."""
    told = package.metadata
    classifiers = [each for each in told.get_all("Classifier", []) if each.startswith("License ::")]
    named = [each.rsplit(" :: ", 1)[1] for each in classifiers if each.count(" :: ") > 1]
    field = (told["License"] or "").strip().splitlines()
    short = field[0] if field and len(field[0]) <= LONGEST_NAME else ""
    return told["License-Expression"] or " or ".join(named) or short or "see its files"


if __name__ == "__main__":
    main()
