"""Starts the real binary, talks to it, and makes sure that nothing is left behind.

`process`  one child process with its logs, ended for certain
`ports`    free ports on loopback
`waiting`  polling with a deadline: no test sleeps for a guess
`demo`     `peerway demo`
`cluster`  nodes started one by one from configuration files
`provider` the control routes of the simulated provider
`balancer` a real HAProxy in front of nodes
`load`     an open-loop load driver that knows which request failed, when and on which node
`clients`  many clients at once, one request after the other each
`http1`    the wire under `load` and `clients`
`namespaces` a network of its own for each node, and cuts between them
`sse`      server-sent events, strictly
"""
