"""Check over HTTP whether a server keeps the clauses of the offline protocol: the conformance kit (一致性检查).

docs/protocol.md explains the clauses. The kit imports no server code.
"""
