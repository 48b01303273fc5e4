"""Talking faces drawn by procedures: heads whose lips follow the phonemes. No photograph is involved.

visemes.py   phoneme times -> opening, width, teeth, tongue and tuck of the mouth per frame
look.py      looks of speakers and light of scenes, drawn at random
canvas.py    painting static layers in head units
head.py      head, relief, neck and shoulders: drawn once per speaker and light
features.py  eyes, lips, teeth, tongue, jaw: drawn in each frame
motion.py    sway, nod, turn, blinks, glances
scene.py     people before a background; frames in 4:2:0
video.py     frames and samples -> mp4

OpenCV (the extra `video`) is imported where it is used.
"""
