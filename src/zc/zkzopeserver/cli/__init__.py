"""The verbs of ``bin/NAME``, and what they need.

`commandline` knows the verbs; each is a module with `run`, imported when it
is asked for: `foreground`, `starting`, `stopping`, `restarting`,
`reloading`, `reopening`, `status`, `checking`, `showing`, `tree`, `monitor`.

`instance` says where the files of a server are, `settings` what its ini says
(`loading` asks PasteDeploy).  `pidfile`, `daemon` (zdaemon) and `processes`
(psutil) find its processes, `transcript` what they wrote, `providers` (zc.zk)
its nodes; `survey` compares processes and nodes, `report` tells what it found,
and `waiting` waits until it is as it should be.
"""
