"""Is it any good: what is counted of summaries, and how it is said. See docs/evaluation.md.

    sentences   where a sentence ends, and the first three of a text: the baseline
    lcs         longest common subsequences, as rouge-score finds them, in a fraction of the time
    rouge       ROUGE of one text against another
    wording     words, what is new in a summary, what is copied, what repeats itself
    measures    the numbers of one document
    pool        many documents at once, in processes of their own (`child`)
    bootstrap   how far a mean may be trusted
    pairs       a job's rows beside its documents, and beside another job's rows
    evaluate    one job
    diff        two jobs

Nothing here needs a model or loads a dataset. Nothing is drawn but by the bootstrap, whose seed
is fixed: the same job gives the same numbers.
"""
