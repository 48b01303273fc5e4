"""Features of every frame: dumped and clustered for masked prediction, and those of voices.

voice           all groups of a recording in one pass; voice_groups: what their columns are
voice_corpus    the same of a corpus, on many workers, into a store, which training reads (store)
praat, ...      pitch, formants, pulses; harmonicity, perturbation, cepstral_peak: what follows from them
preparation     trimming, band, loudness
voicing         how long a voice is heard
channel         band, spectrum and noise floor; channel_control: corpora with the same ones, and without speech
dump, clusters  features of frames, and the targets of HuBERT
"""
