"""The page: what a browser shows, in the same process as the HTTP API.

`mount` hangs it into the application, `gate` lets in who may see it, `shell` is what all pages
have in common; the others are a page each. It asks `producer.client.Client` for everything, as
the API does, and keeps nothing but what is on the screen.
"""
