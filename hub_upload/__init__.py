"""Model folders for the Hub: converting the authors' checkpoints, model cards, uploading, and the released models."""
