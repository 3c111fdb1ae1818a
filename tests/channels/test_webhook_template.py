"""A body template: what it may say, what is refused with its line, and that none of it takes long.

How long is counted, not measured: a rendering has a budget, and what is over it ends with a sentence.
"""

from typing import Any

import pytest

from rmactors.server.channels.webhook.template import MAX_OUTPUT, MAX_SOURCE, BodyTemplate, TemplateFault

VALUES: dict[str, Any] = {
    "message": 'a "b"\n\\c <d>',
    "severity": "warning",
    "note": "",
    "group": [{"message": f"m{n}", "kind": "k"} for n in range(3)],
    "many": [{"message": "x"}] * 500,
}
NAMES = frozenset(VALUES)


def rendered(source: str) -> str:
    return BodyTemplate(source, NAMES).render(VALUES)


def refused(source: str) -> str:
    with pytest.raises(TemplateFault) as raised:
        rendered(source)
    return str(raised.value)


@pytest.mark.parametrize(
    ("source", "body"),
    [
        ("plain\ntext\n", "plain\ntext\n"),
        ("{{ message | tojson }}", '"a \\"b\\"\\n\\\\c <d>"'),
        ('{{ {"a": severity, "b": [1, true, note]} | tojson }}', '{"a": "warning", "b": [1, true, ""]}'),
        ("{{ group | tojson }}", '[{"message": "m0", "kind": "k"}, {"message": "m1", "kind": "k"}, '
                                 '{"message": "m2", "kind": "k"}]'),
        ('{{ severity ~ "/" ~ 1 ~ none ~ true }}', "warning/1true"),
        ('{% if severity == "warning" and not note %}yes{% elif note %}no{% else %}never{% endif %}', "yes"),
        ("{% for each in group %}{{ loop.index }}{{ each.message }}{% if not loop.last %},{% endif %}{% endfor %}",
         "1m0,2m1,3m2"),
        ('{% for each in group if each.message != "m1" %}{{ each["message"] }}{% endfor %}', "m0m2"),
        ("{% for each in [] %}x{% else %}none{% endfor %}", "none"),
        ('{% set color = "red" if severity == "critical" else "gold" %}{{ color }}', "gold"),
        ("{{ message if note }}", ""),
        ("{{ message[:3] }}", 'a "'),
        ("{{ group | length }}{{ severity | length }}", "37"),
        ("{{ severity | upper | lower | capitalize }}", "Warning"),
        ('{{ "  x " | trim }}', "x"),
        ('{{ severity | replace("w", "W") }}', "Warning"),
        ("{{ severity | truncate(4) }}{{ severity | truncate }}", "war…warning"),
        ("{{ message | indent(2) }}", 'a "b"\n  \\c <d>'),
        ("{{ message | escape }}", "a &quot;b&quot;\n\\c &lt;d&gt;"),
        ("{{ message | urlencode }}", "a%20%22b%22%0A%5Cc%20%3Cd%3E"),
        ('{{ note | default("-", true) }}{{ severity | default("-") }}', "-warning"),
        ("{{ group[0].nothing is defined }}", "false"),
        ("{% raw %}{{ x }}{% endraw %}{# a comment #}", "{{ x }}"),
        ("a\n{% if severity %}\nb\n{% endif %}\nc", "a\nb\nc"),  # lines that hold a statement alone are gone
        ("(" * 5000, "(" * 5000),
    ],
)  # fmt: skip
def test_what_a_template_can_say(source: str, body: str) -> None:
    assert rendered(source) == body


@pytest.mark.parametrize(
    ("source", "said"),
    [
        ("x\n{{ hostname }}", "Line 2: nothing here is called hostname; there are group, many, message"),
        ("{{ loop.index }}", "Line 1: nothing here is called loop"),
        ("{% if %}", "Line 1: Expected an expression"),
        ("\n\n{{ message", "Line 3: "),
        ("{{ group[0].nothing }}", "Line 1: 'dict object' has no attribute 'nothing'."),
        ("\n{{ group[0].nothing | tojson }}", "Line 2: "),
        ("\n{{ group[7].message }}", "Line 2: "),
        ("{{ group }}", "Line 1: this is no text: write it with the filter tojson, or loop over it."),
        ("{{ message ~ group }}", "this is no text"),
        ("{{ message.upper }}", "this is no text"),
        ("{{ [message.upper] | tojson }}", "cannot be written as JSON"),
        ("{{ message | nofilter }}", "there is no filter nofilter; there are capitalize, default"),
        ('{{ message | map("upper") }}', "there is no filter map"),
        ("{{ message is callable }}", "“is callable” cannot be asked here"),
        ("{{ message is string }}", "“is string” cannot be asked here"),
        ("{% for each in message %}{% endfor %}", "only a list can be looped over, such as group"),
        ("{% for each in group[0].nothing %}{% endfor %}", "has no attribute 'nothing'"),
        ('{{ severity | truncate("x") }}', "this must be a number"),
        ('{{ severity | replace("", "x") }}', "replace needs something to look for"),
        ('{{ severity | trim("x", "y") }}', "Line 1: "),
        ("{{ 5 | length }}", "this has no length"),
        ('{{ severity < 5 }}', "not supported"),
        ("{{ " + "9" * 5000 + " }}", "A number in the template has too many digits."),
        ("{{ 0x" + "f" * 5000 + " }}", "A number in the template has too many digits."),
        ("{{ 1e999 }}", "Line 1: this number is too large."),
        ("{% set loop = 1 %}", "loop is taken"),
        ("{% set texts = [message] %}", "set takes a text, no list"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_said_with_its_line(source: str, said: str) -> None:
    assert said in refused(source)


@pytest.mark.parametrize(
    "source",
    [
        "{{ message.upper() }}", "{{ range(3) }}", "{{ message * 3 }}", "{{ 2 ** 3 }}", "{{ 1 + 1 }}", "{{ -1 }}",
        "{{ message % 1 }}", "{% macro m() %}{% endmacro %}", '{% include "x" %}', '{% import "x" as x %}',
        '{% extends "x" %}', "{% block b %}{% endblock %}", "{% with %}{% endwith %}", "{% set x %}a{% endset %}",
        "{% filter upper %}a{% endfilter %}", "{% call x() %}{% endcall %}", "{% autoescape true %}{% endautoescape %}",
        "{{ message | indent(width=2) }}", "{% for a, b in group %}{% endfor %}",
        "{% for each in group recursive %}{% endfor %}", "{{ message.__class__ }}", '{{ message["__class__"] }}',
        "{{ self }}", "{{ caller }}", "{{ cycler }}", "{{ message | _joined }}",
    ],
)  # fmt: skip
def test_a_template_is_no_program(source: str) -> None:
    assert refused(source)


@pytest.mark.parametrize(
    "source",
    [
        "{% set x = message %}" + "{% set x = x ~ x %}" * 30 + "{{ x }}",
        "{% set x = message %}" + '{% set x = x | replace("a", x) %}' * 40,
        "{% for a in many %}{% for b in many %}{{ b.message }}{% endfor %}{% endfor %}",
        "{% for a in many %}{{ many | tojson | length }}{% endfor %}",
        "{% for a in many %}{{ many | tojson | escape | urlencode }}{% endfor %}",
        "{% for a in [many, many, many] %}{% for b in a %}{{ many | tojson }}{% endfor %}{% endfor %}",
        "{{ " + "[" * 30 + "message" + "]" * 30 + " | tojson }}" + "{{ message | tojson }}" * 500,
        "{{ " + " ~ ".join(["message"] * 3000) + " }}",
        "{{ message" + " | escape" * 100 + " }}",
        "{% for a in many %}" * 3 + "{% endfor %}" * 3,
        "{% if message %}" * 60 + "{% endif %}" * 60,
        "{{ " + "(" * 3000 + "1" + ")" * 3000 + " }}",
        "{{ message }}" * 1200,
        "x" * (MAX_SOURCE + 1),
        "{% for a in many %}" + "x" * 2000 + "{% endfor %}",
    ],
)  # fmt: skip
def test_what_would_take_long_or_grow_large_ends_with_a_sentence(source: str) -> None:
    said = refused(source)
    assert any(word in said for word in ("too much", "too long", "too deep", "too many")), said


def test_a_body_may_be_as_long_as_that_and_no_longer() -> None:
    template = BodyTemplate("{{ message }}", NAMES)
    assert len(template.render({"message": "x" * MAX_OUTPUT})) == MAX_OUTPUT
    with pytest.raises(TemplateFault, match="at most"):
        template.render({"message": "x" * (MAX_OUTPUT + 1)})


def test_a_filter_makes_no_more_than_a_body_may_be() -> None:
    for source in ("{{ message | urlencode }}", "{{ message | tojson }}", '{{ message | replace("ä", "äää") }}'):
        with pytest.raises(TemplateFault, match="too long"):
            BodyTemplate(source, NAMES).render({"message": "ä" * (MAX_OUTPUT - 1)})


def test_values_are_as_they_were_afterwards() -> None:
    group = [{"message": "x", "kind": "k"}]
    BodyTemplate("{% for each in group %}{{ each | tojson }}{% endfor %}", NAMES).render({**VALUES, "group": group})
    assert group == [{"message": "x", "kind": "k"}]
