"""Breaking everything, and seeing that nothing is lost and nothing done twice.

    engine     the engine under test: keeps a diary of what it generates, and breaks when told
    worker     a worker as users start it, with that engine in it
    producer   a submission or a dispatcher that kills or stops itself at a chosen place
    stopping   a worker that stops in the middle of a store
    up         `gistmill up` whose workers have that engine in them
    racing     dispatchers and workers as threads, for races by the thousand
    ledger     what was submitted and what must become of it, kept apart from gistmill's tables
    audit      triggers that write down what happens to rows, and when
    ground     a mill, its ledger and its dice: submit, break, settle
    servers    the embedded servers as processes
    proxy      a way to a server that can be blocked, cut, or made to swallow an answer

`make faults` runs every scenario with each seed; `make test` a short part of them.
"""
