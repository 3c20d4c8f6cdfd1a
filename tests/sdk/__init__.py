"""The table of SDKs x cases: what a user of each SDK sees when its base URL is a gateway.

`contract`  what every SDK is asked to do, in the table's own words
`cases`     what is asked, what goes wrong meanwhile, and what the user must get to see
`table`     the SDKs, the providers, and which cell is not applicable and why
`clients`   one adapter an SDK family: the only files that know an SDK; each is loaded when its first cell runs
`gateway`   one node and one simulated provider, from `peerway.yaml`: a provider of every dialect, for the Node clients too
`report`    the table that is printed at the end
"""
