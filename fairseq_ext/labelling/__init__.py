"""Labels for clips without transcripts: which language is spoken, what is said, how sure the recogniser is.

    engine        what every recogniser offers; faster_whisper, openai, transformers: three ways to run a Whisper;
                  load: from a name or a path to one of them (checkpoints.ctc_labeller: our own recogniser as another)
    speech        where someone speaks, and windows of 30 s at most around it
    signals       what a text tells of itself: compression ratio, loops, speed, script
    label         from recordings to rows of labels.tsv (table); run: the same over many clips, resumable
    vote          one language per video
    filters       which labels to trust, decided without decoding again
    merge         labels and published transcripts to the manifests of training (partitions)

Whisper is of Radford et al. 2022, "Robust speech recognition via large-scale weak supervision" (arXiv:2212.04356).
Its packages (the extra `whisper`) are imported where they are used.
"""
