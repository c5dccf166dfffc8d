"""A hub on loopback: as much of the Hugging Face hub's HTTP as its clients use.

Serves folders as repositories, read at each request: models as `ORG/NAME`,
datasets as `datasets/ORG/NAME`. Each has one branch, `main`, at `commit(folder)`, and a `History`
has more of them, tags, and what the hub converts a dataset to.

    server         requests and answers
    repositories   folders as repositories: names, files, what the hub says of one
    cards          what the hub makes of a repository's card and files: tags, parameters
    search         which repositories a query finds
    uploads        repositories that are made and committed to
"""

from tests.hub.repositories import History, commit
from tests.hub.server import TOKEN, Request, environment, serve
from tests.hub.uploads import Uploads

__all__ = ["TOKEN", "History", "Request", "Uploads", "commit", "environment", "serve"]
