# Copyright 2026 The HTR-ConvText for transformers authors.
# SPDX-License-Identifier: Apache-2.0
"""
A Python that has imported torch and transformers, and forks for each script: a new one needs seconds to import them.

python forking_python.py CURRENT, run by without_package.py. Each line of its input is a JSON list: a folder, a script
and its arguments. The script runs in a process of its own, in that folder, to which the link CURRENT leads meanwhile;
it prints to out.txt and errors.txt there. The answer is its exit status.
"""

import json
import os
import runpy
import sys
from pathlib import Path

import torch  # noqa: F401
from transformers import (  # noqa: F401
    AutoConfig,
    AutoImageProcessor,
    AutoModel,
    AutoModelForCTC,
    AutoProcessor,
    AutoTokenizer,
    pipeline,
)


def main(current: str) -> None:
    for request in sys.stdin:
        folder, *words = json.loads(request)
        Path(current).unlink(missing_ok=True)
        Path(current).symlink_to(folder)
        child = os.fork()
        if not child:
            return run(folder, words)
        print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)


def run(folder: str, words: list[str]) -> None:
    os.chdir(folder)
    for descriptor, name in enumerate((os.devnull, "out.txt", "errors.txt")):
        os.dup2(os.open(name, os.O_RDWR | os.O_CREAT | os.O_TRUNC), descriptor)
    sys.argv = words
    runpy.run_path(words[0], run_name="__main__")


if __name__ == "__main__":
    main(sys.argv[1])
