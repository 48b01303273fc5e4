"""Speech and faces made by programs, in the layouts of real corpora, for demos and tests without recordings.

Corpora, a file each, in the published layout (tools/make_synthetic.py):
    fsdd, common_voice (common_voice_plan), mtedx, voxceleb2, avspeech, crema_d, l2_arctic
    corpus_folder  what all of them share: the label SYNTHETIC.txt, and recordings made by `jobs`, safe to kill
    wav_folder     what those share whose recordings are wav files
    film_corpus    what those with video share: films, and the table of what is said when

What they are made of:
    sentences      sentences from the grammars in grammars/, one per language; phrases: short ones of few words
    speech         text -> samples, phoneme and word times, by espeak-ng, a library in the wheel `espeakng-loader`
    accents        English with the sounds of another first language
    voices         speakers that differ as people do: voice, pitch, rate, vocal tract, microphone and room
    faces/         drawn heads whose lips follow the phonemes; films: a voice and a face before a camera

    whisper/       a tiny Whisper in its real formats, with random weights or trained on the phrases

A new corpus is one file with SUMMARY (a line), `add_arguments(parser)` and `run(args)`, which returns a line of text:
tools/make_synthetic.py finds it by these names. It never imports the reader of the same corpus in `corpora/`: one
misreading of the layout would then pass its own test. Both cite the published layout. Every synthetic corpus has a
SYNTHETIC.txt in its root, by which results on it are marked as synthetic.

`write(root, ...)` of a corpus writes it, or what is missing of it, by `num_workers` processes, and returns what there
is now. Equal arguments give equal files; `seed` is that of speakers, sentences and pictures. It raises ValueError when
an argument is out of range or the folder holds anything other than this corpus, SpeechError without the package
espeakng-loader, and, where there are pictures, ModuleNotFoundError without OpenCV.
"""
