"""Speech and faces made on this machine, for demos and tests that cannot carry recordings.

speech.py    text -> samples, phoneme and word times, through espeak-ng, a library in the wheel `espeakng-loader`
voices.py    speakers that differ as people do: voice, pitch, rate, vocal tract, microphone and room
sentences.py sentences nobody wrote, from the grammars in grammars/, one language each
phrases.py   short phrases of few words, for lips and small models
faces/       drawn heads whose lips follow the phonemes; films.py: a voice and a face before a camera;
             film_corpus.py: many films, resumable
whisper/     a tiny Whisper in its real formats, with random weights or trained on the phrases
<corpus>.py  one file per corpus: writes that corpus's published layout, so that its reader works for real

A file here never imports the reader of the same corpus: one misreading of the layout would then pass its own
test. Every corpus written carries a SYNTHETIC.txt in its root, and results on it are marked as synthetic.
"""
