"""Label clips that have no transcript: the language, the text, and how sure the recogniser is of both.

From clips to manifests, in the order of the data:
    run           label all clips of a folder as a resumable job, into labels.tsv (table: its columns)
    label         recordings -> rows of labels.tsv; speech: speech detection and windows of up to 30 s
    engine        the interface of a recogniser and its settings. One file per engine: faster_whisper, openai,
                  transformers (the latter two on torch_whisper); inference.ctc_labeller is our own CTC recogniser.
                  Shared by engines: devices, fallback (temperatures), tokens, log_mel
    vote          one language per video (videos: which video a clip is of)
    filters       which labels to trust, from labels.tsv alone; signals: loops, foreign script, speed of a text
    merge         labels and published transcripts (published) -> train, valid, test; manifests: write them

Where a new one goes:
    a filter      `filters.py`: a field of FilterSettings, a line of REASONS, a line of one of the `_on_...` functions;
                  `fairseq-ext label merge` then has an option for it
    an engine     a file with a class like `engine.Engine`, and a line of ENGINES and of `find_kind` in `load.py`

Whisper is of Radford et al. 2022, "Robust speech recognition via large-scale weak supervision" (arXiv:2212.04356).
Its packages (the extra `whisper`) are imported where they are used.
"""
