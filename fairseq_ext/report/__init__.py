"""What a reader sees of a scored run: results.json, RESULTS.md and the self-contained page report.html.

The way through the room, for the run folder of a recipe:

    results.py        reads RUN/scores/**/metrics.json, summarises seeds and pools folds (folds.py), writes results.json
    registry.py       RESULT_TYPES, the types of result, each with a package that exports its RESULT_TYPE:
        recognition/      error rates by decoder, folds, groups, comparisons, transcripts to listen to
        pretraining/      figures and curves of self-supervised trainings
        verification/     EER and DET curves, pairs of the same and of other sentences
        classification/   accuracy and macro-F1, folds, few labels, confusions, embeddings, examples to listen to
    markdown.py       RESULTS.md and the tables for the terminal, from results.json alone
    page.py           report.html: every type's sections, made into HTML by html.py and templates/

What the types share, from the bottom up:

    tables.py         a table of text cells, numbers as text
    partitions.py     titles and order of systems and partitions; families of folds; which come first (headlines)
    pieces.py         what a section is made of: tables, pictures, text, blocks that fill a template
    run.py            a run folder with its results, as sections read it
    result_type.py    ResultType, Section, Tile: what a type declares
    plots.py, score_plots.py, learning.py, players.py    figures, learning curves, embedded recordings
    provenance.py     where the figures come from
    extras.py         tables and pictures that other tools left in RUN/corpus, attribution, comparison
    about.py          report.json, a recipe's titles, order and choices
    seed_summaries.py, short_form.py    means over seeds; what results.json keeps of them, each thing once
    earlier_formats.py    results that earlier versions wrote
    voice_picture.py, reconstruction_picture.py    what commands draw of recordings
    clip_report.py, clip_tables.py    what RUN/corpus holds of mouth clips and their labels

A new type is a package with a `RESULT_TYPE`, and its name in registry.py.
"""
