"""gistmill over HTTP: jobs, OpenAI's batches, metrics and the page.

Thin: who asks is found out here (`guard`), what was asked is read, and `producer.client` does it.
"""
