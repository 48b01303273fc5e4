"""Where the two files of a prepared clip lie: `audio/{id}.wav` and `video/{id}.mp4` under one root."""

AUDIO, VIDEO = ("audio", ".wav"), ("video", ".mp4")


def audio_path(clip_id: str) -> str:
    """Return the path of a clip's audio relative to the clips' root, as manifests hold it; ids may contain slashes."""
    return f"{AUDIO[0]}/{clip_id}{AUDIO[1]}"


def video_path(audio: str) -> str:
    """Return the path of the video that belongs to an audio file; both are relative to the clips' root.

    Raises:
        ValueError: for a path of another shape.
    """
    return f"{VIDEO[0]}/{clip_id(audio)}{VIDEO[1]}"


def clip_id(audio: str) -> str:
    """Return the clip's id that `audio_path` was made from; raise ValueError for a path of another shape."""
    folder, _, name = audio.partition("/")
    if folder != AUDIO[0] or not name.endswith(AUDIO[1]) or name == AUDIO[1]:
        raise ValueError(
            f"{audio}: the path is not of the form audio/{{id}}.wav; prepare the clips, or give another root"
        )
    return name.removesuffix(AUDIO[1])
