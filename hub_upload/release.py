"""Makes a released model folder in this repository from a trained one: its weights, and links to the code at the root.

python -m htr_convtext.hub_upload.release --model RUN_FOLDER --output hub_upload/NAME
"""

import argparse
import os
from pathlib import Path

from htr_convtext import HTRConvTextForCTC, HTRConvTextProcessor

ROOT = Path(__file__).resolve().parent.parent
CODE = "*_htr_convtext.py"


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", type=Path, required=True, help="folder of the trained model and its processor")
    parser.add_argument("--output", type=Path, required=True, help="model folder to write")
    options = parser.parse_args(arguments)
    release(options.model, options.output)
    print(f"Wrote {options.output}; its README.md, the model card, is yours to write.")


def release(model: Path, output: Path) -> None:
    """
    Args:
        model: Folder of a trained model and its processor.
        output: Folder to write; a README.md in it stays.
    """
    for link in output.glob(CODE):  # Of an earlier release: saving would copy the code onto itself.
        link.unlink()
    HTRConvTextForCTC.from_pretrained(model).save_pretrained(output)
    HTRConvTextProcessor.from_pretrained(model).save_pretrained(output)
    for copy in output.glob(CODE):
        copy.unlink()
        copy.symlink_to(os.path.relpath(ROOT / copy.name, output))


if __name__ == "__main__":
    main()
