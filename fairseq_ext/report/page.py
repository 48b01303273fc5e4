"""Pieces of a self-contained HTML page: tables, figures, players, marked differences, and the page itself.

Everything is inlined, there are no scripts, and a content policy forbids the page to load anything else.
Text is escaped here and nowhere else: arguments are plain text unless they are called `html`.
"""

from __future__ import annotations

import io
import itertools
import wave
from collections.abc import Iterable, Sequence
from html import escape

import numpy as np
from numpy.typing import NDArray

from ..text.scoring import align
from .plots import data_uri
from .style import CSS
from .tables import Table

# ISO/IEC 11172-3 and 13818-3, and MPEG-2.5, which browsers play too.
MP3_RATES_HZ = (8000, 11025, 12000, 16000, 22050, 24000, 32000, 44100, 48000)
POLICY = "default-src 'none'; img-src data:; media-src data:; style-src 'unsafe-inline'"


def table(content: Table) -> str:
    """A table that scrolls sideways on narrow screens, with its title and note.

    Args:
        content: the cells.

    Returns:
        HTML.
    """
    head = "".join(f'<th scope="col">{escape(name)}</th>' for name in content.header)
    body = "".join(f"<tr>{_line(cells)}</tr>" for cells in content.rows)
    note = f'<p class="note">{escape(content.note)}</p>' if content.note else ""
    grid = (
        f'<div class="scroll" tabindex="0" role="region" aria-label="{escape(content.title)}"><table>'
        f"<caption>{escape(content.title)}</caption><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div>"
    )
    kind = "control" if content.is_control else "plain"
    return (
        f'<div class="{kind}" id="{escape(content.key)}"><h3>{escape(content.title)}</h3>{grid}{note}</div>'
    )


def _line(cells: Sequence[str]) -> str:
    first, *rest = (escape(cell) for cell in cells)
    return f'<th scope="row">{first}</th>' + "".join(f"<td>{cell}</td>" for cell in rest)


def figure(png: bytes, description: str, caption: str = "", *, wide: bool = False) -> str:
    """An embedded picture.

    Args:
        png: the picture.
        description: what it shows, for readers who cannot see it.
        caption: text below it.
        wide: scroll sideways on narrow screens instead of shrinking.

    Returns:
        HTML.
    """
    below = f"<figcaption>{escape(caption)}</figcaption>" if caption else ""
    # A PNG's width in pixels stands in bytes 16 to 20 (PNG specification, section 11.2.2).
    width = round(int.from_bytes(png[16:20], "big") / 1.5)
    image = f'<img src="{data_uri(png, "image/png")}" alt="{escape(description)}" width="{width}">'
    if wide:
        return f'<figure class="wide" tabindex="0" aria-label="{escape(description)}">{image}{below}</figure>'
    return f"<figure>{image}{below}</figure>"


def wav(waveform: NDArray[np.float32], sample_rate_hz: int) -> bytes:
    """A waveform as a 16-bit mono WAV file.

    Args:
        waveform: (S,), full scale = 1.
        sample_rate_hz: its rate.

    Returns:
        The file.
    """
    buffer = io.BytesIO()
    with wave.open(buffer, "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(sample_rate_hz)
        file.writeframes((np.clip(waveform, -1, 1) * 32767).astype("<i2").tobytes())
    return buffer.getvalue()


def compressed(waveform: NDArray[np.float32], sample_rate_hz: int) -> tuple[bytes, str]:
    """A waveform as an MP3 file, a tenth of the size of `wav`; as WAV at rates that MP3 does not have.

    Args:
        waveform: (S,), full scale = 1.
        sample_rate_hz: its rate.

    Returns:
        The file and its media type.
    """
    import soundfile

    if sample_rate_hz not in MP3_RATES_HZ:
        return wav(waveform, sample_rate_hz), "audio/wav"
    buffer = io.BytesIO()
    soundfile.write(buffer, np.clip(waveform, -1, 1), sample_rate_hz, format="MP3")
    return buffer.getvalue(), "audio/mpeg"


def player(content: bytes, description: str, media_type: str = "audio/wav") -> str:
    """An embedded audio player.

    Args:
        content: the audio file.
        description: what is heard.
        media_type: of the file.

    Returns:
        HTML.
    """
    source = data_uri(content, media_type)
    return f'<audio controls preload="none" aria-label="{escape(description)}" src="{source}"></audio>'


def differences(reference: Sequence[str], hypothesis: Sequence[str], joint: str = " ") -> str:
    """Marks what a hypothesis left out and put in, token by token.

    Args:
        reference: tokens that were spoken.
        hypothesis: tokens that were recognised.
        joint: what stands between tokens.

    Returns:
        HTML: left-out tokens in `<del>`, put-in ones in `<ins>`.
    """
    parts = []
    for is_equal, group in itertools.groupby(
        align(reference, hypothesis), key=lambda pair: pair[0] == pair[1]
    ):
        spoken, heard = ([token for token in side if token is not None] for side in zip(*group, strict=True))
        if is_equal:
            parts.append(escape(joint.join(spoken)))
            continue
        marked = (("del", spoken), ("ins", heard))
        parts += [f"<{tag}>{escape(joint.join(tokens))}</{tag}>" for tag, tokens in marked if tokens]
    return escape(joint).join(parts)


def aligned(reference: Sequence[str], hypothesis: Sequence[str]) -> str:
    """Two texts one above the other, token over token.

    A difference shows by colour, by symbol (≠ another token, − left out, + put in), and to screen readers in words.

    Args:
        reference: tokens that were spoken.
        hypothesis: tokens that were recognised.

    Returns:
        HTML.
    """
    columns = " ".join(_column(spoken, heard) for spoken, heard in align(reference, hypothesis))
    return f'<p class="aligned">{columns}</p>'


def _column(spoken: str | None, heard: str | None) -> str:
    above, below = (escape(token or "") for token in (spoken, heard))
    if spoken == heard:
        return f'<span>{above}<span class="quiet" aria-hidden="true">{below}</span></span>'
    if heard is None:
        return f"<span><del>{above}</del>{_mark('−', 'left out')}</span>"
    if spoken is None:
        return f'<span><span aria-hidden="true">·</span><ins>{_mark("+", "put in")} {below}</ins></span>'
    return f"<span><del>{above}</del><ins>{_mark('≠', 'taken for')} {below}</ins></span>"


def _mark(symbol: str, words: str) -> str:
    return f'<b aria-hidden="true">{symbol}</b><span class="hidden"> ({words}) </span>'


def page(title: str, head_html: str, sections: Iterable[tuple[str, str, str]], foot_html: str) -> str:
    """Puts a page together.

    Args:
        title: of the page.
        head_html: what stands under the title.
        sections: key, heading and HTML of each section.
        foot_html: the footer.

    Returns:
        The whole document.
    """
    parts = list(sections)
    links = "".join(f'<li><a href="#{escape(key)}">{escape(name)}</a></li>' for key, name, _ in parts)
    body = "\n".join(
        f'<section id="{escape(key)}" aria-labelledby="{escape(key)}-heading">'
        f'<h2 id="{escape(key)}-heading">{escape(name)}</h2>\n{html}</section>'
        for key, name, html in parts
    )
    return f"""<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="{POLICY}">
<meta name="viewport" content="width=device-width, initial-scale=1">
<link rel="icon" href="data:,">
<title>{escape(title)}</title>
<style>{CSS}</style>
</head>
<body>
<a class="skip" href="#content">Skip to the content</a>
<header><h1>{escape(title)}</h1>{head_html}
<nav aria-label="Sections"><ul>{links}</ul></nav></header>
<main id="content">
{body}
</main>
<footer>{foot_html}</footer>
</body>
</html>
"""
