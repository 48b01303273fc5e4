"""Text: one spelling for transcripts, units of recognisers, text for language models, error rates.

normalize.py  the normaliser: case, apostrophes, hyphens, numbers in words, no punctuation
  languages.py  its rules per language, as tables
  numbers.py    numbers in digits to words
  plain.py      languages without rules
units.py      characters and SentencePiece units, and back; units missing from a dictionary
sentences.py  text for language models, without the sentences that are scored
scoring.py    word and character error rates; bootstrap intervals

Standard library and numpy only; SentencePiece and num2words are imported where they are used.
"""
