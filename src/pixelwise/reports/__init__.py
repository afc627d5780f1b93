"""Tables, plots and pages, generated from results and run folders."""

from pixelwise.reports.html import write_report

__all__ = ["write_report"]
