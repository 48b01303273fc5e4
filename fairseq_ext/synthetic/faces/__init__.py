"""Talking faces that nobody owns: procedural heads whose lips follow the phonemes. No photograph is involved.

visemes.py   phoneme times -> opening, width, teeth, tongue and tuck of the mouth in each frame
look.py      how a speaker looks, and the light of a scene, by chance
canvas.py    painting of static layers in head units
head.py      head, relief, neck and shoulders: once per speaker and light
features.py  eyes, lips, teeth, tongue, jaw: in each frame
motion.py    sway, nod, turn, blinks, glances
scene.py     who stands where before what; frames in 4:2:0
video.py     frames and samples to mp4

OpenCV (the extra `video`) is imported where it is used.
"""
