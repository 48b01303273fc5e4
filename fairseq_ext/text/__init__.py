"""Text: one spelling for transcripts, units of recognisers, text for language models, error rates.

normalize.py  the normaliser: case, apostrophes, hyphens, numbers in words, no punctuation
  languages.py  its rules per language, as tables
  numbers.py    numbers in digits to words
  plain.py      languages without rules
  silence.py    what may be dropped: all else makes a sentence unsound
spelling.py   how a manifest's texts are spelled, kept beside it: nothing is normalised twice
published.py  text files and tables of many hands
units.py      characters and SentencePiece units, and back
sentences.py  text for language models, without the sentences that are scored
scoring.py    word and character error rates; bootstrap intervals

Standard library, numpy and editdistance only; SentencePiece and num2words are imported where they are used.
"""
