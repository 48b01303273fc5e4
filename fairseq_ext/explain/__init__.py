"""What in a recording makes a network predict a character, a word or a class: maps over time, and how good they are.

Maps:
maps.py             the times of a network's frames, and a map of values over them (numpy only)
targets.py          what is explained: tokens on their aligned frames, a whole transcript, a class
network.py          the network under study: how to call it, the layer of its maps, gradients there
cam.py              HiRes-CAM (the default) and Grad-CAM
integrated.py       integrated gradients (captum) over the waveform, a layer, or time and frequency
occlusion.py        score lost when a stretch of time is covered
background.py       noise in the place of silence, for the two methods that remove sound
methods.py          `attribute`: all methods by name
plot.py             maps over the log-mel spectrogram; hit rates
recording.py        one recording explained, from a transcript or class to a picture

lips/               maps over the pictures of a mouth, for lip readers

How good maps are:
pointing_score.py   the pointing game: does the peak of a map lie where the word was spoken?
sanity.py           randomised weights must change the map
word_times.py       when each word was spoken, for corpora that have this
aligned_clips.py    recordings with word times, aligned by a recogniser
pointing_game.py    the game of a recogniser: layers chosen on one split, methods scored on another
pointing_game_table.py  its results as a table of the report
pointing_game_files.py  games of all recognisers of a run, written for the report

Which method to trust was measured on networks with known correct maps. Grad-CAM averages gradients over time before it
weighs channels; the score of one character of a CTC network has its gradient in a few frames, and the average loses
which. On the score of a whole transcript its peaks are at chance. HiRes-CAM multiplies frame by frame and keeps them.
"""
