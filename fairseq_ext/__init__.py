"""Speech tasks, models, criterions and recipes for fairseq. Map of the floors (imports point down only).

Importing this package is light: it loads nothing of torch or fairseq. `common.user_dir` may name this folder or
the installed package; fairseq then imports `tasks/` and `models/` itself.

floor 0, standard library and numpy:
    files         text files: atomic writing, strict UTF-8 reading
    manifest      the Utterance record; tsv, label streams, sidecar and dictionaries, streamed and atomic
    line_index    random access to the rows of a manifest without holding them in memory
    splits        speaker-disjoint splits and the check that they are
    download      files over HTTP, resumable
    jobs          work on many items that loses nothing: processes, any scheduler's shards, Slurm
    corpora       one reader per corpus: a folder in, Utterance records out
    text          spelling, units of recognisers, text for language models, scoring, bootstrap intervals
floor 1, and torch, soundfile, PyAV:
    media         audio of any format to mono float32 at the rate asked for; media.mouth: videos to mouth clips
    features      spectrograms, dumped features; augment: waveform augmentation
    synthetic     corpora made by a speech synthesiser, with drawn faces; a tiny Whisper for tests and demonstration
    labelling     languages and texts of recordings that have none, filters, manifests of what is trusted
    preflight     checks of prepared data before training
    decoding      log-probabilities to text: CTC search, n-gram language models, alignment, long audio, subtitles
    analysis      metrics, embeddings, plots and the report page; analysis.attribution: what a network listens to
floor 2, and fairseq:
    compat        the few mends the stack needs; data: datasets and batches
floor 3:
    modules       parts shared by models; models, criterions: one file per registered name; checkpoints: loading,
                  conversion from and to Hugging Face, recognisers
floor 4:
    tasks         one file per registered task; importing it registers the criterions too
"""

__version__ = "0.1.0"
