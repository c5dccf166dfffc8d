"""OpenAI's batches: jobs whose documents are the requests of an uploaded file.

    bodies      what the body of a request asks for, in our words
    checking    a whole file, line by line: one model and one way to ask, or what is wrong where
    calls       create, retrieve, list and cancel
    views       a batch as OpenAI's clients know it
    outputs     the lines of its output and error files, made from SQL when they are asked for

docs/openai.md says what of it is different here; decision 0020 why.
"""
