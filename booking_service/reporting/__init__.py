"""The reports of the cache service, shown to people: in the terminal, as JSON, as a page.

What a report says (`composing` and the builders beside it) is kept apart from how it is
shown (`table`, `page`): the builders make plain blocks, and either shows all of them.
"""
