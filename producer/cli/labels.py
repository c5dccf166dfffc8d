"""Labels as the command line has them: `--label key=value`, any number of times."""

from collections.abc import Iterable

from jobs.errors import UsageError


def parse_labels(words: Iterable[str]) -> dict[str, str]:
    """Raises UsageError for a word that is not key=value, and for a key that comes twice."""
    labels: dict[str, str] = {}
    for word in words:
        key, equals, value = word.partition("=")
        if not equals or not key:
            raise UsageError(f"--label {word!r}: write it as key=value, as in user=ann")
        if key in labels:
            raise UsageError(f"--label {key}: is given twice; a job has one value of each label")
        labels[key] = value
    return labels
