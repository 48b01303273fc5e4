"""From a trained network to what a reader sees: scores, probes, projections, figures, tables and a page.

The way of the data, each stage reading only what the one before it wrote:
`embeddings` (network over a split) -> `metrics` and `classifiers` -> `evaluation` (writes one row's
predictions.tsv, embeddings.npz and metrics.json) -> `results` (gathers rows into results.json) -> `tables`
(`markdown`: RESULTS.md) and `report` (report.html, with `plots`, `sections` and `page`).

Nothing here imports fairseq: a loaded network is handed in, so that reports are made in seconds.
"""
