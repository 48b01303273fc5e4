#!/usr/bin/env python3
"""Train a tiny Whisper on synthetic phrases; OUT/{hf,ct2,openai.pt} load like a real one. Resumable.

For demonstration and tests only: it knows 29 words of each language, as synthetic voices say them, and real speech
gives noise. Equal options give equal weights on one machine.

800 updates of five languages take 4 minutes of one core and leave 4% of the words of unseen voices wrong; 400 take
2.4 minutes and leave 25% (tests/bench/tiny_whisper.py).
"""

import argparse
import sys
from pathlib import Path

from tqdm import tqdm


def parse_args() -> argparse.Namespace:
    """Command line."""
    from fairseq_ext.synthetic.phrases import LANGUAGES
    from fairseq_ext.synthetic.whisper.settings import Settings

    default = Settings()
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, required=True, help="folder; a run that was killed goes on there")
    parser.add_argument(
        "--updates",
        type=int,
        default=default.updates,
        help=f"how long to learn; an update takes about 0.25 s of one core (default: {default.updates})",
    )
    parser.add_argument(
        "--languages", nargs="+", default=LANGUAGES, choices=LANGUAGES, help="(default: all five)"
    )
    parser.add_argument(
        "--recordings",
        type=int,
        default=default.recordings,
        help=f"per language, each of another voice (default: {default.recordings})",
    )
    parser.add_argument("--seed", type=int, default=default.seed, help=f"(default: {default.seed})")
    return parser.parse_args()


def main() -> None:
    """Train, and say where the model is."""
    args = parse_args()
    from fairseq_ext.synthetic.speech import SpeechError
    from fairseq_ext.synthetic.whisper.settings import Settings
    from fairseq_ext.synthetic.whisper.training import train

    settings = Settings(
        languages=tuple(args.languages), updates=args.updates, recordings=args.recordings, seed=args.seed
    )
    with tqdm(desc="recordings") as bar:

        def show(what: str, done: int, total: int, loss: float) -> None:
            if what != bar.desc.removesuffix(": "):
                bar.reset(total)
                bar.set_description(what, refresh=False)
            bar.total = total
            if what == "updates":
                bar.set_postfix(loss=f"{loss:.3f}", refresh=False)
            bar.update(done - bar.n)

        try:
            train(args.out, settings=settings, on_progress=show)
        except (ValueError, ImportError, SpeechError) as error:
            sys.exit(f"make_tiny_whisper.py: {error}")
    print(f"tiny Whisper (synthetic, no use for real speech) in {args.out}")


if __name__ == "__main__":
    main()
