"""From a trained network to what a reader sees: scores, probes, projections, figures, tables and a page.

The way of the data, each stage reading only what the one before it wrote:
`embeddings` (network over a split) -> `metrics` and `classifiers` -> `evaluation` (writes one row's
predictions.tsv, embeddings.npz and metrics.json) -> `results` (gathers rows into results.json) -> `tables`
(`markdown`: RESULTS.md) and `report` (report.html, with `plots`, `sections` and `page`).

Rows are of three `kinds`: classification (above), recognition (`recognition/`: WER and CER) and pretraining (what
the log of a self-supervised training says). Other tools add tables and pictures by leaving files: `extras`. What a
recipe says of itself: `about`.

Nothing here imports fairseq: a loaded network is handed in, so that reports are made in seconds.
"""
