"""What the documents state of the code is what the code does."""

import json
from pathlib import Path

import pytest

from listing_media_dagster.cli_settings import settings_page
from listing_media_dagster.settings import Settings
from listing_media_dagster.store.report import report_schema

ROOT = Path(__file__).parents[1]


def test_the_published_settings_are_those_in_force():
    published = (ROOT / "docs" / "settings.md").read_text()
    assert published == settings_page(), "run: listing-media settings --page > docs/settings.md"


@pytest.mark.parametrize("name", Settings.model_fields)
def test_every_setting_says_what_it_means(name):
    assert Settings.model_fields[name].description


def test_the_published_report_schema_is_the_one_in_force():
    published = json.loads((ROOT / "docs" / "report.schema.json").read_text())
    assert published == report_schema(), "run: listing-media report-schema > docs/report.schema.json"


def test_every_picture_and_page_the_readme_links_to_is_there():
    import re

    links = re.findall(r"\]\(((?:docs/|\.env|CHANGELOG)[^)#]*)\)", (ROOT / "README.md").read_text())
    assert links
    assert [link for link in links if not (ROOT / link).exists()] == []
