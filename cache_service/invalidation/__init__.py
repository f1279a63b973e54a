"""From committed changes to the tags that they touch, and the relay that applies them."""
