"""What answers a user: trained checkpoints that transcribe, classify, embed and explain recordings."""
