"""Write docs/recipes.md: every field of recipes with its values, unit, range and default."""

from __future__ import annotations

from pathlib import Path

from pixelwise.reports.recipe_fields import recipe_fields_page

PAGE = Path(__file__).resolve().parents[2] / "docs" / "recipes.md"

if __name__ == "__main__":
    PAGE.write_text(recipe_fields_page(), "utf-8", newline="\n")
