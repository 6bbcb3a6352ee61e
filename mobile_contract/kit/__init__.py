"""Check every server clause of the offline protocol over HTTP, against any server: the conformance kit (一致性检查).

docs/protocol.md explains the clauses. The kit imports nothing of the server.
"""
