"""Datasets that read manifests: audio on demand, labels safe for any script."""
