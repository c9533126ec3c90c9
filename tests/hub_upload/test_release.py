"""A released folder holds one copy of the code less than it seems to, and loads."""

from transformers import AutoModel

from htr_convtext import (
    HTRConvTextConfig,
    HTRConvTextForCTC,
    HTRConvTextImageProcessor,
    HTRConvTextProcessor,
    HTRConvTextTokenizer,
)
from htr_convtext.hub_upload.release import release


def test_release_links_the_code_and_loads(tmp_path, root):
    run, released = tmp_path / "run", tmp_path / "released"
    config = HTRConvTextConfig(
        vocab_size=4, hidden_size=32, num_hidden_layers=4, num_attention_heads=2, backbone_head_dim=8
    )
    HTRConvTextForCTC(config).save_pretrained(run)
    HTRConvTextProcessor(HTRConvTextImageProcessor(), HTRConvTextTokenizer.from_alphabet("abc")).save_pretrained(run)
    released.mkdir()
    (released / "README.md").write_text("the card")

    release(run, released)
    release(run, released)  # A better model takes the place of a released one.

    code = sorted(path.name for path in released.glob("*.py"))
    assert code == sorted(path.name for path in root.glob("*_htr_convtext.py"))
    assert all((released / name).resolve() == root / name and (released / name).is_symlink() for name in code)
    assert AutoModel.from_pretrained(released, trust_remote_code=True).config.vocab_size == 4
    assert (released / "README.md").read_text() == "the card"
