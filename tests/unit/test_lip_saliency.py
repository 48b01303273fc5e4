"""Maps of lip readers: on drawn mouths of which it is known what says the word, and against shuffled weights."""

from pathlib import Path

import numpy as np
import pytest
import torch
from small_lip_reader import SYMBOLS, write_lip_reader
from torch import Tensor, nn

from fairseq_ext.decoding.alignment import TokenSpan
from fairseq_ext.explain.lips.attention import frames_read
from fairseq_ext.explain.lips.game import LipCase, score_maps
from fairseq_ext.explain.lips.mouth import lips_mask, share_inside, share_of_area
from fairseq_ext.explain.lips.network import LipNetwork
from fairseq_ext.explain.lips.saliency import METHODS, SaliencyMap, occlusion
from fairseq_ext.explain.targets import TokenTarget
from fairseq_ext.inference.lip_explained import explain_clip, explained_lips, lip_tokens
from fairseq_ext.inference.lip_reader import LipReader, load_lip_reader
from fairseq_ext.inference.mouth_clip import MouthClip
from fairseq_ext.media.mouth.template import ANCHORS, KEPT

SIDE, FRAMES = 48, 14
# Rows and columns of a mouth, and the frames in which it says the word: open.
MOUTH, SAID = (slice(26, 38), slice(16, 32)), slice(5, 9)
OPEN, CLOSED = 2.0, -2.0


def drawn(seed: int, opened: slice | None = None) -> Tensor:
    """Draw a face without edges but for skin, (1, T, H, W), whose mouth is open in some frames."""
    generator = np.random.default_rng(seed)
    pictures = generator.normal(scale=0.7, size=(1, 1, SIDE, SIDE)).repeat(FRAMES, 1)
    pictures += generator.normal(scale=0.3, size=pictures.shape)
    pictures[(0, slice(None), *MOUTH)] = CLOSED
    if opened is not None:
        pictures[(0, opened, *MOUTH)] = OPEN
    return torch.from_numpy(pictures).float()


class Reader(nn.Module):
    """A reader of two symbols, the blank and the word, frame by frame, by convolutions."""

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Conv2d(1, 6, 5, stride=3, padding=2)
        self.layer = nn.Sequential(nn.Conv2d(6, 6, 3, padding=1), nn.ReLU())
        self.head = nn.Linear(6 * 16 * 16, 2)

    def see(self, pictures: Tensor, first: int) -> Tensor:
        planes = self.layer(self.first(pictures.flatten(0, 1)[:, None]).relu())
        return planes.flatten(1).unflatten(0, pictures.shape[:2])

    def network(self) -> LipNetwork:
        return LipNetwork(self, self.see, lambda v: self.head(v).log_softmax(2), self.layer)


@pytest.fixture(scope="module")
def trained() -> LipNetwork:
    """Train the reader to find out in which frames the mouth is open."""
    torch.manual_seed(1)
    reader = Reader()
    optimizer = torch.optim.Adam(reader.parameters(), lr=3e-3)
    for step in range(60):
        pictures, opened = drawn(100 + step), torch.rand(FRAMES) < 0.5
        pictures[0, opened, MOUTH[0], MOUTH[1]] = OPEN
        loss = nn.functional.nll_loss(reader.network().forward(pictures)[0], opened.long())
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    assert float(loss.detach()) < 0.3
    return reader.eval().network()


def word() -> TokenTarget:
    return TokenTarget("open", (TokenSpan(1, SAID.start, SAID.stop, 0.0),))


def mouth_mask() -> np.ndarray:
    mask = np.zeros((FRAMES, SIDE, SIDE), bool)
    mask[(slice(None), *MOUTH)] = True
    return mask


@pytest.mark.parametrize("method", ["hirescam", "occlusion", "integrated_gradients"])
def test_maps_lie_on_the_mouth_that_says_the_word_when_it_does(trained: LipNetwork, method: str) -> None:
    pytest.importorskip("captum")
    found = METHODS[method](trained, drawn(1, SAID), word())
    inside = share_inside(found, mouth_mask())
    area = share_of_area(found, mouth_mask())
    assert area == pytest.approx(12 * 16 / SIDE**2)
    assert inside is not None
    assert inside > 3.5 * area
    over_time = found.positive.sum((1, 2))
    assert over_time[SAID].sum() > 0.75 * over_time.sum()
    assert found.smooth().shape == (FRAMES, SIDE, SIDE)
    assert found.smooth().max() == 1.0


def test_shuffled_weights_and_area_have_less_on_the_mouth(trained: LipNetwork) -> None:
    cases = [LipCase(trained, drawn(seed, SAID), word(), mouth_mask()) for seed in range(4)]
    before = {name: value.clone() for name, value in trained.model.state_dict().items()}
    for score in score_maps(cases, ["hirescam", "occlusion"]).values():
        assert score.num_words == score.num_above == 4
        assert score.inside > 2 * max(score.shuffled, score.area)
        assert score.correlation < 0.5
    after = trained.model.state_dict()
    assert all(torch.equal(value, after[name]) for name, value in before.items())


def test_a_share_that_can_be_counted() -> None:
    values = np.zeros((2, 4, 4), np.float32)
    values[0, 0, 0], values[1, 3, 3], values[1, 0, 0] = 3.0, 1.0, -5.0
    found = SaliencyMap("hirescam", "a", values, 8)
    mask = np.zeros((2, 8, 8), bool)
    mask[:, :2, :1] = True  # half of the first cell
    assert share_inside(found, mask) == pytest.approx(3 * 0.5 / 4)
    assert share_of_area(found, mask) == pytest.approx(2 / 64)
    assert share_inside(SaliencyMap("hirescam", "a", -np.abs(values), 8), mask) is None
    with pytest.raises(ValueError, match="expected a mask of 2 frames of 8 px"):
        share_inside(found, mask[:1])
    with pytest.raises(ValueError, match="1 that are not finite"):
        SaliencyMap("hirescam", "a", np.where(values == 1, np.nan, values), 8)


def test_lips_are_where_the_landmarks_put_them(tmp_path: Path) -> None:
    points = np.zeros((2, len(KEPT), 2), np.float32)
    turns = np.linspace(0, 2 * np.pi, len(KEPT) - len(ANCHORS))
    points[:, len(ANCHORS) :] = np.stack([100 + 40 * np.cos(turns), 60 + 16 * np.sin(turns)], 1)
    matrix = np.array([[0.5, 0, 0], [0, 0.5, 20]], np.float32)  # to an ellipse of 20 x 8 px about (50, 50)
    np.savez(tmp_path / "a.npz", points=points, matrix=np.stack([matrix] * 2))
    mask = lips_mask(tmp_path / "a.npz", 88)
    assert mask.shape == (2, 88, 88)
    rows, columns = np.nonzero(mask[0])
    assert (rows.mean(), columns.mean()) == pytest.approx((46, 46), abs=0.6)
    assert (np.ptp(rows), np.ptp(columns)) == pytest.approx((2 * (8 + 4), 2 * (20 + 4)), abs=1)
    with pytest.raises(FileNotFoundError, match="landmarks of the clip expected"):
        lips_mask(tmp_path / "b.npz")


@pytest.fixture(scope="module")
def reader(tmp_path_factory: pytest.TempPathFactory) -> LipReader:
    folder = tmp_path_factory.mktemp("reader")
    return load_lip_reader(write_lip_reader(folder / "lips.pt", modality="both", encoder_type="gru"))


@pytest.fixture(scope="module")
def clip() -> MouthClip:
    generator = np.random.default_rng(5)
    pictures = np.kron(
        generator.integers(0, 255, (20, 12, 12)).astype(np.uint8), np.ones((1, 8, 8), np.uint8)
    )
    return MouthClip(20, pictures, generator.normal(scale=0.1, size=20 * 640).astype(np.float32))


def test_occlusion_is_that_of_the_whole_network(reader: LipReader, clip: MouthClip) -> None:
    """Only frames near the patch go through the front end again: the scores are those of all frames."""
    network, pictures = explained_lips(reader, clip)
    target = TokenTarget("blue", (TokenSpan(5, 9, 11, 0.0),))
    calls: list[int] = []

    def see(pictures: Tensor, first: int) -> Tensor:
        calls.append(pictures.shape[1])
        return network.see(pictures, first)

    quick = occlusion(LipNetwork(network.model, see, network.read, network.layer), pictures, target)
    # Patches of 5 frames, and 4 on either side.
    assert calls.count(20) == 2
    assert sorted(set(calls)) == [9, 13, 20]

    def slow(pictures_: Tensor, first: int) -> Tensor:
        whole = pictures.repeat(len(pictures_), 1, 1, 1)
        whole[:, first : first + pictures_.shape[1]] = pictures_
        return network.see(whole, 0)[:, first : first + pictures_.shape[1]]

    slow_map = occlusion(LipNetwork(network.model, slow, network.read, network.layer), pictures, target)
    np.testing.assert_allclose(quick.values, slow_map.values, atol=2e-4 * np.abs(slow_map.values).max())
    assert np.abs(slow_map.values).max() > 0


def test_the_network_under_study_is_the_reader(reader: LipReader, clip: MouthClip) -> None:
    network, pictures = explained_lips(reader, clip)
    torch.testing.assert_close(network.output(pictures), reader.log_probs([clip])[0], rtol=1e-4, atol=1e-4)


def test_a_word_with_what_the_decoder_reads(reader: LipReader, clip: MouthClip) -> None:
    found = explain_clip(reader, clip, "word:2", ["hirescam"], text="bin blue now")
    assert found.target.name == "blue"
    assert [word.text for word in found.words] == ["bin", "blue", "now"]
    assert found.read is not None
    assert found.read.weights.shape == (3, 20)
    np.testing.assert_allclose(found.read.weights.sum(1), 1.0, rtol=1e-5)
    with pytest.raises(ValueError, match="give the number of one of these: 1 bin, 2 blue, 3 now"):
        explain_clip(reader, clip, "word:4", ["hirescam"], text="bin blue now")
    with pytest.raises(ValueError, match="a lip reader has no classes"):
        explain_clip(reader, clip, "class:x", ["hirescam"])
    with pytest.raises(ValueError, match="30 s at most expected, found 40"):
        explain_clip(reader, MouthClip(1000, None, None), "word:1", ["hirescam"])


def test_attention_is_what_the_decoder_computes(reader: LipReader) -> None:
    decoder = reader.model.decoder
    assert decoder is not None
    memory = torch.randn(1, 9, 16, generator=torch.Generator().manual_seed(2))
    part, given, mixed = decoder.layers[0].encoder_attn, [], []
    before = part.register_forward_pre_hook(lambda _, arguments: given.append(arguments))
    after = part.out_proj.register_forward_pre_hook(lambda _, arguments: mixed.append(arguments[0]))
    read = frames_read(decoder, 0, [4, 5, 6], memory)
    before.remove()
    after.remove()
    query, keys, values, mask = given[0]
    weights = part.weights(query, keys, mask)  # (1, H, L, T)
    torch.testing.assert_close((weights @ values).transpose(1, 2).flatten(2), mixed[0])
    torch.testing.assert_close(read, weights[0].mean(0))


def test_texts_are_spelled_in_whole_words_or_characters() -> None:
    assert lip_tokens("bin now", SYMBOLS) == [4, 6]
    with pytest.raises(ValueError, match="transcript"):
        lip_tokens("bin red", SYMBOLS)
