"""Stock fairseq reads our manifests and dictionaries as we do, except non-ASCII labels, which it corrupts."""

from pathlib import Path

import numpy as np
import soundfile
from fairseq.data import Dictionary, FileAudioDataset
from fairseq.data.audio.hubert_dataset import HubertDataset

from fairseq_ext.dictionary import read_dictionary, write_dictionary
from fairseq_ext.line_index import AudioIndex, LineIndex
from fairseq_ext.manifest import Utterance, write_manifest

TEXTS = ["la plaça", "és allà", "el coŀlegi", "niño"]


def write_split(folder: Path) -> list[Utterance]:
    utterances = []
    for i, text in enumerate(TEXTS):
        path = f"gravació_{i}.wav"
        soundfile.write(folder / path, np.full(400 + i, 0.1 * i, dtype=np.float32), 16000)
        utterances.append(Utterance(str(i), path, 400 + i, transcript=text))
    write_manifest(folder, "train", utterances, root=folder, labels={"wrd": lambda u: u.transcript or ""})
    return utterances


def test_file_audio_dataset_sees_the_same_rows(tmp_path: Path) -> None:
    utterances = write_split(tmp_path)
    stock, ours = FileAudioDataset(str(tmp_path / "train.tsv"), 16000), AudioIndex(tmp_path / "train.tsv")
    assert stock.sizes.tolist() == ours.sizes.tolist() == [u.num_samples for u in utterances]
    # It keeps them in an array of pyarrow where that is installed.
    stored = stock.fnames if isinstance(stock.fnames, list) else stock.fnames.to_pylist()
    names = [stock.text_compressor.decompress(name) for name in stored]
    assert [Path(stock.root_dir) / name for name in names] == [ours.entry(i).path for i in range(len(ours))]
    assert [len(stock[i]["source"]) for i in range(len(utterances))] == ours.sizes.tolist()


def test_stock_hubert_labels_leak_into_the_next_row_and_ours_do_not(tmp_path: Path) -> None:
    write_split(tmp_path)
    path = tmp_path / "train.wrd"
    stock = HubertDataset(
        str(tmp_path / "train.tsv"),
        16000,
        [str(path)],
        [-1.0],
        [1],
        [2],
        label_processors=None,
        store_labels=False,
    )
    assert (
        stock.get_label(0, 0) == "la plaça\né"
    )  # a defect of fairseq: it seeks in bytes and reads characters
    index = LineIndex(path)
    assert [index[i] for i in range(len(index))] == TEXTS


def test_dictionary_has_the_same_symbols(tmp_path: Path) -> None:
    counts = {"|": 9, "à": 3, "ç": 2, "ŀl": 2, "'": 1}
    write_dictionary(tmp_path / "dict.ltr.txt", counts)
    stock = Dictionary.load(str(tmp_path / "dict.ltr.txt"))
    assert stock.symbols == ["<s>", "<pad>", "</s>", "<unk>", *read_dictionary(tmp_path / "dict.ltr.txt")]
    assert stock.count[4:] == list(counts.values())
