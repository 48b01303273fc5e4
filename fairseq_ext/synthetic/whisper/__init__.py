"""Tiny Whispers in the formats of the real ones, made with no download: for demonstration and tests only.

They are no usable speech recognisers. `write_random` writes one with random weights, to test the code that loads
and runs Whisper; `training.train` makes one that recognises the few words of `synthetic.phrases`, spoken by
`synthetic.voices`, so that the labels of a demonstration are meaningful.
"""

from .formats import write_random

__all__ = ["write_random"]
