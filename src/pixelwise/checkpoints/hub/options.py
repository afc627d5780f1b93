"""Options of `push`."""

from __future__ import annotations

from pixelwise.errors import RecipeError
from pixelwise.options import Options


class PushOptions(Options, frozen=True, kw_only=True):
    """What is published, and for whom.

    Attributes:
        public: Publish for everybody. Without it, a repository that is created is private, and one that everybody can
            read is refused.
        replace: Replace the run that the repository holds. Without it, only an empty repository is filled.
        dry_run: List what would be sent, with sizes, and send nothing. Needs no network.
        samples: Show some of the evaluation's images with their labels and predictions on the page. They are copies of
            the data: not all may be published.
        licence: Licence of the weights, such as `apache-2.0` or `cc-by-nc-4.0`; by default the one that imported
            weights came with, else `unknown`.
        data_licence: Licence or terms of the data, for the page; needed with samples.
        message: Message of the commit; by default recipe and weights.
    """

    public: bool = False
    replace: bool = False
    dry_run: bool = False
    samples: bool = False
    licence: str | None = None
    data_licence: str | None = None
    message: str | None = None

    def refuse_contradictions(self) -> None:
        """Refuse to publish images of which nothing says that they may be published.

        Raises:
            RecipeError: R251, samples are asked for without a licence of the data.
        """
        if self.samples and not self.data_licence:
            raise RecipeError(
                "R251",
                "`samples` publishes images of the data, and nothing says that they may be",
                "name the licence of the data with `data_licence`, or leave `samples` out",
            )
