"""From trained networks to scores: every figure of a result, with its files, and nothing of how it is shown.

The way of a classifier's score, stage after stage:
trainings.py       what a run folder holds: its finished trainings, one `FinishedTraining` each
embeddings.py      a network over a split: embeddings and logits; projections to the plane
embedding_files.py the folder of `fairseq-ext embed`: vectors of any encoder's layers
predictions.py     predictions.tsv and embeddings.npz
metrics.py         confusion matrix, accuracy, precision, recall, F1, and their bootstrap intervals
evaluation.py      trained classifiers -> the files of scored systems
probing.py         pre-trained encoders -> linear probes on frozen embeddings -> the files of scored systems

Embeddings that are there already, classified without a network:
embedding_partitions.py  the utterances of a partition beside their embeddings
classifiers/             kinds of classifiers, choices on left-out training speakers, saved classifiers
embedding_scoring.py     classifiers of embeddings -> the files of scored systems
calibration.py           whether 80 % means 80 %
groups.py                scores by gender, intensity, ...
comparison.py            two systems on the same utterances: is the difference more than chance?

Embeddings compared in pairs, without classes that are known before:
verification.py          trials by rule, EER and DET curve, least costs, recall@k, nearest centroid, silhouette
verification_scoring.py  cosine, or a discriminant analysis before it -> the files
verification_intervals.py  intervals over speakers
pair_kinds.py            pairs of the same and of other sentences

What these use:
scored_system.py   name, folder and metadata of a scored system; the files that all result types share
provenance.py      commit, configuration hash, device, training log
linear_probe.py    a logistic regression over embeddings, its penalty chosen over speakers
distorted_views.py more examples for a probe: augmented copies through the frozen network
augmentation_spectrograms.py  what the augmentations do to one recording, for the report
heads.py           networks with several label streams: one scored system per stream
majority.py        the baseline that always predicts the most frequent class

Result types, one summary over seeds each: classification.py, recognition/ (WER and CER), pretraining.py (the last
losses of a self-supervised training). seeds.py has the means that they share; label_quality.py scores
automatic transcripts as recognition.

Nothing here imports fairseq: the caller passes the function that loads a checkpoint.
"""
