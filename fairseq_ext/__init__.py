"""Speech tasks, models, criterions and corpora for fairseq: the map of the layers.

A module imports from its own layer or from one below, never from one above; names on one line share a layer. The
contract in pyproject.toml ([tool.importlinter]) checks it, and README.md has the same table.

    commands: the console command fairseq-ext, a module per subcommand
    inference, tasks: what answers a user (recogniser, classifier, embedder); tasks, a file per registered name
    checkpoints, criterions: loading and conversion; losses, a file per registered name
    models: networks, a file per registered name
    data: datasets and batches
    compat: the few fixes that this stack of versions needs
    explain: what a network listens to or looks at
    report: result types, their tables and sections, the report page
    scoring: embeddings, probes, metrics, recognition scores
    decoding, labelling, preflight: log-probabilities to text; texts for recordings without; checks before training
    synthetic: corpora in each published layout, spoken by a synthesiser
    features: dumped features and their clusters; pitch, formants and quality of voices
    modules, media: parts of networks, mel spectra, waveform augmentation; audio, video and mouth clips
    corpora: a reader per corpus, a folder per class, tables, and partitions
    splits, text, line_index, download, jobs: disjoint speakers; spelling; random access; HTTP; work that may be killed
    dictionary, manifest: fairseq's dictionaries; the Utterance record, and the files that training reads
    file_errors, files, leftovers, optional, torch_files: what can be wrong with a file; atomic files; optional packages

From `compat` up the modules may import fairseq; from `modules` up torch, soundfile and PyAV. What is below takes the
standard library and numpy. Importing `fairseq_ext` itself loads none of them. `common.user_dir` names this
folder; fairseq then imports `tasks/` and `models/`.
"""

__version__ = "0.1.0"
