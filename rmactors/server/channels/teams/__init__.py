"""A card in a channel or chat of Microsoft Teams, by a workflow."""
