"""`sigmax conform`: the checklist of the Open Inference Protocol, asked of any server from outside.

A client and nothing else: it knows the protocol, not the service, and shares no rule with what it checks.
"""
