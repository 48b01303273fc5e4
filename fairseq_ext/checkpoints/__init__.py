"""Load checkpoints, and convert them between fairseq and Hugging Face."""
