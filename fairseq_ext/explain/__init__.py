"""What in a recording made a network say a character, a word or a class: maps over time, and how good they are.

maps.py       when a network's frames are; a map of values over them (numpy only)
targets.py    what is explained: tokens on their aligned frames, a whole transcript, a class
network.py    the network under study: how to call it, which layer to look at, gradients there
cam.py        HiRes-CAM (the default) and Grad-CAM
background.py what stands in for no sound
occlusion.py  score lost when a stretch of time is covered
path.py       a gradient integrated along a path, as fine as completeness asks for
integrated.py integrated gradients over the waveform, a layer, or time and frequency
methods.py    `attribute`: a method by name
pointing.py   the pointing game: does the peak lie where the word was spoken?
sanity.py     randomised weights must change the map
spoken.py     when each word was spoken, where a corpus knows it
clips.py      recordings with known word boundaries, aligned by a recogniser
game.py       the game of a recogniser: the layer chosen on one split, the methods scored on another

Beside this folder: attribution_plot.py draws, attribution_clip.py explains one recording, attribution_row.py and
attribution_table.py leave a recogniser's game in a run's folder for the report.

Which method to trust was measured on networks whose answer was known. Grad-CAM averages gradients over time
before it weighs channels; the score of one character of a CTC network has its gradient in a few frames, so
the average forgets which. On the score of a whole transcript it points at chance. HiRes-CAM multiplies frame by
frame and does not.
"""
