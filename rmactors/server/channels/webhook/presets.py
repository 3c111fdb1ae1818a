"""Bodies to start from, for receivers that want one of their own. Each escapes hosts' words as its receiver asks."""

from typing import Final

from rmactors.server.channels.base import Preset

_JSON: Final = "application/json"

_OWN = """\
{
  "event": {{ event | tojson }},
  "alert_id": {{ alert_id | tojson }},
  "severity": {{ severity | tojson }},
  "kind": {{ kind | tojson }},
  "host_name": {{ host_name | tojson }},
  "message": {{ message | tojson }},
  "raised_at": {{ raised_at | tojson }},
  "link": {{ link | tojson }},
  "subject": {{ subject | tojson }},
  "delivery_id": {{ delivery_id | tojson }},
  "actor": {{ actor | tojson }},
  "note": {{ note | tojson }},
  "group": {{ group | tojson }}
}
"""

# Slack's markup has three characters to escape, and a mention needs one of them.
_SLACK = """\
{% set title = title | replace("&", "&amp;") | replace("<", "&lt;") | replace(">", "&gt;") %}
{% set text = message | truncate(2500) | replace("&", "&amp;") | replace("<", "&lt;") | replace(">", "&gt;") %}
{
  "text": {{ ("*" ~ title ~ "*\\n" ~ text ~ "\\n" ~ link) | tojson }}
}
"""

# A code block shows no markup and mentions nobody; three backquotes would end it.
_MATTERMOST = """\
{% set title = title | replace("@", "@\\u200b") | replace("`", "'") %}
{% set text = message | truncate(3500) | replace("```", "'''") %}
{
  "text": {{ ("`" ~ title ~ "`\\n```\\n" ~ text ~ "\\n```\\n" ~ link) | tojson }}
}
"""

_HOME_ASSISTANT = """\
{
  "title": {{ title | tojson }},
  "message": {{ message | truncate(2000) | tojson }},
  "severity": {{ severity | tojson }},
  "event": {{ event | tojson }},
  "host": {{ host_name | tojson }},
  "link": {{ link | tojson }}
}
"""

_TEXT = """\
{{ title }}

{{ message }}

{% if actor %}
By: {{ actor }}{{ ": " ~ note if note else "" }}

{% endif %}
{{ link }}
"""

PRESETS: Final = (
    Preset("json", "Plain JSON", {"body_template": _OWN, "content_type": _JSON}),
    Preset("slack", "Slack and compatible", {"body_template": _SLACK, "content_type": _JSON}),
    Preset("mattermost", "Mattermost, Rocket.Chat", {"body_template": _MATTERMOST, "content_type": _JSON}),
    Preset("home-assistant", "Home Assistant", {"body_template": _HOME_ASSISTANT, "content_type": _JSON}),
    Preset("text", "Plain text", {"body_template": _TEXT, "content_type": "text/plain; charset=utf-8"}),
)
