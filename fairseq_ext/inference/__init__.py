"""Use trained checkpoints: transcribe, classify, embed and explain recordings."""
