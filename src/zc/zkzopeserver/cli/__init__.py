"""The command line of ``bin/NAME``, and what its verbs need.

- `main` parses the command line and runs a verb; `verbs` has their table, and
  a module for each verb, or for a few that belong together.
- `instance` says where the files of a server are; `ini` reads its ini by
  PasteDeploy; `settings` adds what the verbs need to know of the options.
- `pidfile`, `zdaemon` and `processes` find the processes of a server;
  `transcript` reads what they wrote; `providers` reads its nodes in
  ZooKeeper.
- `survey` compares processes and nodes; `waiting` waits until they are as
  they should be.
- `tree_script` is another program, ``bin/NAME-tree``.

The server itself is reached only through the entry point that the ini names,
so that ``bin/NAME`` and any other PasteDeploy launcher take the same way.
"""
