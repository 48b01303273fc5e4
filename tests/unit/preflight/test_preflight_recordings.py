"""Preflight of recordings in several formats, of the real digits and damaged copies, and of very many rows."""

import shutil
import tracemalloc
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fairseq_ext import preflight
from fairseq_ext.manifest import Utterance, write_manifest


@pytest.mark.parametrize("suffix", ["flac", "ogg", "mp3"])
def test_compressed_recordings_pass(tmp_path: Path, suffix: str) -> None:
    import soundfile

    from fairseq_ext.media.audio import num_samples_at, probe

    path = tmp_path / f"a.{suffix}"
    soundfile.write(path, np.sin(np.arange(48_000) * 0.1) * 0.3, 48_000)
    utterance = Utterance("a", path.name, num_samples_at(probe(path), 16_000), speaker="anna")
    write_manifest(tmp_path, "train", [utterance], root=tmp_path)
    report = preflight.check(
        tmp_path, preflight.Options(sample_rate_hz=16_000, any_rate=True, num_decode=None)
    )
    assert report.ok, report.text()
    assert {finding.type.severity for finding in report.findings} == {preflight.Severity.WARNING}


@settings(max_examples=100, deadline=None)
@given(st.integers(0, 5000), st.integers(1, 400), st.integers(0, 800), st.integers(0, 30))
def test_frames_are_those_of_a_convolution(num_samples: int, stride: int, field: int, extra: int) -> None:
    limits = preflight.CtcLimits(stride, field)
    seen = field or stride
    starts = [start for start in range(0, num_samples, stride) if start + seen <= num_samples]
    assert limits.num_frames(num_samples) == len(starts)
    assert limits.num_frames(num_samples + extra) >= limits.num_frames(num_samples)


def test_memory_does_not_grow_with_the_rows(tmp_path: Path) -> None:
    def peak_bytes(num_rows: int) -> int:
        folder = tmp_path / str(num_rows)
        utterances = (
            Utterance(
                f"speaker{i % 50}-{i:08d}", f"speaker{i % 50}/{i:08d}.wav", 9000 + i, speaker=f"s{i % 50}"
            )
            for i in range(num_rows)
        )
        write_manifest(folder, "train", utterances, root=folder / "none", labels={"ltr": lambda u: "a b c |"})
        tracemalloc.start()
        report = preflight.check(folder, preflight.Options(labels=("ltr",)))
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert report.scans[0].num_rows == num_rows
        return peak

    assert peak_bytes(10_000) - peak_bytes(2_500) < 7_500 * 50


def test_options_that_would_check_nothing_are_refused() -> None:
    with pytest.raises(ValueError, match="sample_rate_hz"):
        preflight.Options(max_duration_s=3)
    with pytest.raises(ValueError, match="stride"):
        preflight.Options(ctc_limits=preflight.CtcLimits(stride_samples=0))


def test_the_real_digits_pass(fsdd_root: Path, tmp_path: Path) -> None:
    from fairseq_ext.corpora import fsdd, fsdd_partitions
    from fairseq_ext.corpora.partitions import write

    published = next(fsdd_partitions.partitions(list(fsdd.read(fsdd_root))))
    write(published, tmp_path, fsdd.recordings_folder(fsdd_root))
    report = preflight.check(tmp_path, preflight.Options(sample_rate_hz=8000, num_decode=None))
    assert report.ok
    assert sum(scan.num_rows for scan in report.scans) == sum(report.rates.values()) == 3000
    assert [finding.type.problem for finding in report.findings] == ["speaker in two held-out splits"]


def test_damaged_copies_of_real_digits_are_counted_and_named(fsdd_root: Path, tmp_path: Path) -> None:
    from fairseq_ext.corpora import fsdd

    corpus, folder = tmp_path / "corpus", tmp_path / "manifest"
    corpus.mkdir()
    utterances = [u for u in fsdd.read(fsdd_root) if u.id.endswith("_7")]
    for utterance in utterances:
        shutil.copyfile(fsdd.recordings_folder(fsdd_root) / utterance.path, corpus / utterance.path)
    write_manifest(folder, "train", utterances, root=corpus, labels={"digit": fsdd.digit})
    options = preflight.Options(sample_rate_hz=8000, num_decode=None)
    assert preflight.check(folder, options).ok
    victims = np.random.default_rng(1).permutation(len(utterances))[:9]
    for rank, victim in enumerate(victims):
        path = corpus / utterances[victim].path
        data = path.read_bytes()
        path.write_bytes((data[: len(data) // 2], data[:20], bytes(len(data)))[rank % 3])
    report = preflight.check(folder, options)
    (finding,) = (found for found in report.findings if "unreadable" in found.type.problem)
    assert finding.count == report.findings.count(preflight.Severity.ERROR) == 9, report.text()
    first = min(victims)
    assert f"train.tsv:{first + 2}" in finding.examples[0]
    assert utterances[first].path in finding.examples[0]
