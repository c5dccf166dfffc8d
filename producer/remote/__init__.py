"""The mill asked over HTTP, from anywhere: what `gistmill serve` answers, as `producer.mill.Mill`.

connection  requests, and answers that are errors
rebuilt     dataclasses from their JSON
sending     documents on their way: inside the request, or uploaded before it
listing     rows as they come
mill        all of it together
"""
