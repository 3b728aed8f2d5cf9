"""The web process: `/metrics` for Prometheus on loopback and, behind the proxy, documents such as /openapi.json.

Both are small WSGI applications that share one process, because each Python process costs about 25 MB. They cannot
disturb predictions, which never pass through this process. They hardly disturb each other: a scrape has a thread of its
own, and a document is sent from memory. The proxy opens only the paths of documents, so clients cannot reach /metrics.
"""
