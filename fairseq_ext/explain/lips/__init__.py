"""Where a lip reader looks: maps over the pictures of a mouth, what the decoder attends to, and how good maps are.

network.py     the network under study: pictures to log probabilities, and gradients at the layer of its maps
saliency.py    maps of a target over cells of every picture: HiRes-CAM, Grad-CAM, integrated gradients, occlusion
mouth.py       where the lips are in each picture, by the landmarks of a prepared clip, and a map's share there
attention.py   how much of each frame the decoder reads for each token
game.py        the share on the lips over many words, against the same network with shuffled weights and against area
pictures.py    a strip of pictures under the maps, a matrix of attention
film.py        the same as a film

Targets, the tables of letters and the shuffled weights are those of sound: `..targets`, `..recording`, `..sanity`.
"""
