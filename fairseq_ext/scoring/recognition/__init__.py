"""The result type `recognition`: references against hypotheses, as word and character error rates.

acoustics.py    a recogniser over a split: log-probabilities, before any decoding
decoders.py     log-probabilities to texts: greedy, and beam search with a language model tuned on a dev set
scores.py       error rates with intervals, per accent, gender and speaker; the summary over seeds
visemes.py      texts to classes of sounds that lips tell apart
transcripts.py  predictions.<decoder>.tsv
evaluation.py   trained recognisers -> the files of scored systems
"""
