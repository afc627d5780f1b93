"""Sound of a video, copied into its overlay as it is."""

from __future__ import annotations

import contextlib
from collections.abc import Generator
from pathlib import Path
from typing import Any

from pixelwise.prediction.videos.reading import open_local


class Sound:
    """The sound of a video, read beside its pictures, so that as much of it is in memory as belongs to one frame.

    Args:
        av: PyAV.
        path: The video.
        output: Container to which the sound is copied.

    Attributes:
        lost: What is not copied, in words; empty if everything is.
    """

    def __init__(self, av: Any, path: Path, output: Any) -> None:
        self._errors, self._output = av.error.FFmpegError, output
        self._input = open_local(av, path)
        self._copies: dict[int, Any] = {}
        lost = []
        for stream in self._input.streams.audio:
            name = stream.codec_context.name if stream.codec_context is not None else "unknown"
            try:
                # The container refuses some kinds of sound here, others only as it is begun.
                if name not in output.supported_codecs:
                    raise ValueError(name)
                self._copies[stream.index] = output.add_stream_from_template(stream)
            except (ValueError, self._errors):
                lost.append(f"an MP4 file cannot hold sound of the kind {name}")
        self.lost = "; ".join(lost)
        self._packets = self._sound()
        self._next = next(self._packets, None)

    def copy(self, until: float | None = None) -> None:
        """Copy the sound up to a time in seconds; None for all that is left."""
        while self._next is not None and (until is None or self._seconds(self._next) <= until):
            packet, self._next = self._next, next(self._packets, None)
            packet.stream = self._copies[packet.stream.index]
            self._output.mux(packet)

    def close(self) -> None:
        """Close the file that is read."""
        self._packets.close()
        self._input.close()

    def _sound(self) -> Generator[Any, None, None]:
        if not self._copies:
            return
        # What is damaged ends the sound where it ends.
        with contextlib.suppress(self._errors):
            for packet in self._input.demux([one for one in self._input.streams if one.index in self._copies]):
                if packet.dts is not None:
                    yield packet

    @staticmethod
    def _seconds(packet: Any) -> float:
        return float(packet.dts * packet.time_base)
