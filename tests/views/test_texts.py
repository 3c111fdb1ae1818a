"""Every word on a page goes through the texts, so that a translation reaches it."""

import re
from pathlib import Path

import pytest

TEMPLATES = Path(__file__).resolve().parents[2] / "web" / "templates"
SAME_EVERYWHERE = {"ms", "Enter", "d h j a s", "x", "j", "k", "a", "r", "n", "g"}
"""Commands, units and the names of keys."""


@pytest.mark.parametrize("path", sorted(TEMPLATES.rglob("*.html")), ids=lambda path: str(path.relative_to(TEMPLATES)))
def test_no_template_says_a_word_of_its_own(path: Path) -> None:
    text = re.sub(r"\{% block main_attributes %\}.*?\{% endblock %\}", "", path.read_text())  # within a tag
    text = re.sub(r"\{#.*?#\}|\{\{.*?\}\}|\{%.*?%\}", "", text, flags=re.DOTALL)
    words = re.findall(r'\s(?:title|placeholder|aria-label|alt)="([^"]*[A-Za-z][^"]*)"', text)
    between = re.sub(r"<!doctype html>|<[^>]*>", "\n", text)
    words += [word.strip() for word in re.findall(r"[A-Za-z][A-Za-z ]*", between)]
    assert set(words) - SAME_EVERYWHERE == set()
