"""From a recogniser's log-probabilities to text: CTC search, language models, alignment, long audio, subtitles.

windows.py     long audio through a recogniser, in overlapping windows
ctc.py         log-probabilities to texts: greedy decoding and prefix beam search
  frames.py      checks and pruning of frames before the search
  beam.py        the search itself, over all utterances of a batch at once
  prior.py       log-probabilities with the prior of the symbols taken off
  fusion.py      scores of a language model for the words of hypotheses (shallow fusion)
joint.py       beam search by CTC and an attention decoder together; prefix_scores.py CTC's part of it
long_words.py  words of a recording of any length with their times; stretches.py cuts it between words
alignment.py   times of symbols and words
subtitles.py   timed words as text, JSON and SubRip
kneser_ney.py  training of n-gram models; arpa.py their files; ngram.py scoring; trie.py their n-grams
tuning.py      weights of the language model, chosen on a development set; lm_weights.py their file

Symbols are in fairseq's order: 0 `<s>`, which is CTC's blank; 1 `<pad>`, 2 `</s>` and 3 `<unk>`, which are never
emitted; then those of the dictionary. Nothing here imports fairseq: the caller computes the log-probabilities.
"""
