"""Checkpoints: from a path to a model that answers."""
