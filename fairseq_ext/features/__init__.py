"""Signal features of speech, computed on any device from waveforms."""
