"""The result type `recognition`: references against hypotheses, as word and character error rates.

acoustics.py    a recogniser over a split: log-probabilities, before any decoding
decoders.py     log-probabilities to texts: greedy, and beam search with a language model tuned on a dev set
scores.py       error rates with intervals, per accent, gender and speaker; the summary over seeds
visemes.py      texts to classes of sounds that lips tell apart
noise.py        babble in the sound, the same for every system, at given ratios
confusions      (confusion_matrix.py) which viseme or word is taken for which, confusions.<decoder>.<unit>.csv
transcripts.py  predictions.<decoder>.tsv
split_scores.py a network's output over a split -> texts, their files and scores, by decoder
evaluation.py   trained recognisers -> the files of scored systems
"""
