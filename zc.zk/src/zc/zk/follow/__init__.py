"""Keep a proxy's list of servers as ZooKeeper has it: zookeeper_follow."""
