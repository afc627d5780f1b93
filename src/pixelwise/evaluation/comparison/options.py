"""Options of `pixelwise.compare` and of the verb `compare`; never imports torch."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

from msgspec import Meta

from pixelwise.options import Options, TableFormat

if TYPE_CHECKING:
    from pixelwise.records.result import Result


class CompareOptions(Options, frozen=True, kw_only=True):
    """Options of `compare`.

    Attributes:
        split: Split whose results are compared. Left out, that of the first run's recipe if all were scored on it, else
            one that all were scored on.
        protocol: Protocol under which they were scored. Left out, likewise.
        each: Take every run by itself, runs that differ only in their seed too.
        group: Images that belong together, such as the frames of a video, are drawn together. This regular expression
            is searched in every image's id; its first capture group, or else its whole match, names the group. Left
            out, the groups of cross-validations, or the series that the names show, if there are at least ten.
        resamples: Number of bootstrap samples of the images.
        format: Output format; by default that of the output file's extension, or `terminal` without a file.
    """

    split: str | None = None
    protocol: Annotated[str | None, Meta(extra={"metavar": "PROTOCOL"})] = None
    each: bool = False
    group: str | None = None
    resamples: Annotated[int, Meta(ge=100, le=100_000)] = 2000
    format: TableFormat | None = None

    def is_about(self, result: Result) -> bool:
        """Whether a result is one of those that are asked for."""
        return self.split in (None, result.split) and self.protocol in (None, result.protocol)
