"""Webhooks: a job's end, told to a URL that its user named."""
