"""Rows of the kind `recognition`: what was said against what was recognised.

The way of the data: `acoustics` (a recogniser over a split) -> `decoders` (log-probabilities to texts) -> `scores`
(rates with intervals, per group) -> `evaluation` (writes a row's files, `transcripts` among them); then, from
results.json alone, `tables` and `breakdowns` (with `comparison`), and the page's `sections` (with `listen`).
"""
