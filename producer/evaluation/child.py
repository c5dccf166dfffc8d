"""A process that measures: a line of JSON with texts in, a line of JSON with numbers out.

    python -P -m producer.evaluation.child KIND

It ends with its standard input, and so with whoever started it.
"""

import json
import sys

from producer.evaluation import measures


def main(kind: str) -> None:
    measure = measures.by_name(kind)
    for line in sys.stdin.buffer:
        numbers = [measure(*texts) for texts in json.loads(line)]
        sys.stdout.buffer.write(json.dumps(numbers).encode() + b"\n")
        sys.stdout.buffer.flush()


if __name__ == "__main__":
    main(sys.argv[1])
