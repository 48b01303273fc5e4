"""Readers of corpora, one file each. The contract:

    read(root, *, on_problem=None) -> Iterator[Utterance]
    recordings_folder(root) -> Path

- `root` is the corpus as published (or a synthetic one in the same layout); nothing is written to it.
- Paths are relative to `recordings_folder(root)`, which a manifest takes as its root. Ids are unique, the
  order is the same on every machine, and `num_samples` counts at the corpus's own rate, read from headers
  without decoding. Corpora of clips that are yet to be prepared say less: `voxceleb2.read` gives 0 unless
  `measure` is given, `avspeech.read` what the times of its lists promise; both have `clips(root)` for the cropping.
- `ravdess`, `crema_d`, `iemocap` and `l2_arctic` take `measure`, which decodes: copies and silence are found by
  content. Their `streams(root)` gives the labels that an `Utterance` has no field for, such as intensity and session.
- What does not belong or cannot be read is described to `on_problem`, one line each, and skipped. Without
  `on_problem` the lines go to the log as warnings.
- The file's docstring gives layout, counts, licence and source. `manifests/<corpus>/` describes its splits.
"""
