# Copyright 2026 The HTR-ConvText for transformers authors.
# SPDX-License-Identifier: Apache-2.0
"""Runs scripts as users of a saved model do who never installed the package: with torch, transformers, little else."""

import importlib.metadata
import json
import os
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

# All that such users have installed; flashlight-text is for those who read with a language model.
NEEDED = ("torch", "transformers", "numpy", "pillow", "ufal-flashlight-text")


class WithoutPackage:
    """
    Processes that have nothing but these packages, and caches of their own.

    Args:
        folder: A new one, for links to the packages.
        oldest: A folder with another transformers and what it needs, or `None` for the one that is installed.
    """

    def __init__(self, folder: Path, oldest: Path | None):
        found = importlib.metadata.distributions(path=[str(oldest)] if oldest else [])
        packages = link_distributions([*found, *installed(NEEDED)], folder / "packages")
        current = folder / "current"
        environment = {
            "PATH": os.environ["PATH"],
            "HOME": str(current),
            "HF_HOME": str(current / "home"),
            "HF_MODULES_CACHE": str(current / "modules"),
            "HF_HUB_OFFLINE": "1",
            "OMP_NUM_THREADS": "1",
            "PYTHONPATH": str(packages),
        }
        # -S leaves the environment's own packages out, -P the folder of the script.
        command = [sys.executable, "-S", "-P", str(Path(__file__).with_name("forking_python.py")), str(current)]
        self.process = subprocess.Popen(
            command, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )

    def run(self, script: str | Path, *arguments: object, folder: Path) -> str:
        """
        What a script prints.

        Args:
            script: A file, or the script itself.
            arguments: Its arguments.
            folder: Where it runs; what transformers keeps of remote code and of the Hub is in `modules` and
                `home/hub` there.
        """
        if isinstance(script, str):
            (folder / "script.py").write_text(script, encoding="utf-8")
            script = folder / "script.py"
        self.process.stdin.write(json.dumps([str(folder), *map(str, (script, *arguments))]) + "\n")
        self.process.stdin.flush()
        status = self.process.stdout.readline().strip()
        printed, errors = ((folder / name).read_text(encoding="utf-8") for name in ("out.txt", "errors.txt"))
        assert status == "0", f"exit status {status}\n{errors[-3000:]}"
        return printed

    def close(self) -> None:
        self.process.communicate()


def installed(names: Iterable[str]) -> list[importlib.metadata.Distribution]:
    found = []
    for name in names:
        try:
            found.append(importlib.metadata.distribution(name))
        except importlib.metadata.PackageNotFoundError:
            continue
    return found


def link_distributions(distributions: Iterable[importlib.metadata.Distribution], folder: Path) -> Path:
    """Links these distributions, and what they require of what is installed, into a folder for PYTHONPATH."""
    folder.mkdir()
    waiting = list(distributions)
    seen = {canonicalize_name(distribution.name) for distribution in waiting}
    for distribution in waiting:
        for file in {file.parts[0] for file in distribution.files or () if file.parts[0] != ".."}:
            path = Path(str(distribution.locate_file(file)))
            if path.exists() and not (folder / file).exists():
                (folder / file).symlink_to(path)
        for requirement in map(Requirement, distribution.requires or ()):
            name = canonicalize_name(requirement.name)
            if name not in seen and (not requirement.marker or requirement.marker.evaluate({"extra": ""})):
                seen.add(name)
                waiting.append(importlib.metadata.distribution(name))
    return folder
