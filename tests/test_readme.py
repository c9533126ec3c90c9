"""The README's Python runs as printed."""

import re
import subprocess
import sys

import pytest


def python_blocks(root):
    return re.findall(r"```python\n(.*?)```", (root / "README.md").read_text(encoding="utf-8"), flags=re.DOTALL)


@pytest.mark.parametrize("number", [0, 1])
def test_python_blocks_run(root, number):
    blocks = python_blocks(root)
    assert len(blocks) == 2, "give every block of Python a number above"
    result = subprocess.run([sys.executable, "-c", blocks[number]], cwd=root, capture_output=True, text=True)
    assert result.returncode == 0, result.stderr
    assert result.stdout.strip()
