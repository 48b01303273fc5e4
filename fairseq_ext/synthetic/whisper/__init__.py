"""Tiny Whispers in the formats of the real ones, made with no download: for demonstration and tests only.

They are no usable speech recognisers. `write_random` writes one with random weights, to test the code that loads
and runs Whisper; `training.train` makes one that knows the few words of `synthetic.phrases`, as `synthetic.voices`
speak them, so that the labels of a demonstration mean something.
"""

from .formats import write_random

__all__ = ["write_random"]
