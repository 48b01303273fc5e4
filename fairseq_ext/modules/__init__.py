"""Parts that models share. Plain torch: importing one does not import fairseq, unless it says so."""
