"""The conformance kit 一致性检查: tries every clause of the offline protocol that binds a server, over HTTP, against any server.

What the clauses say to an implementer is left to docs/protocol.md; nothing of the server's is imported.
"""
