"""What tests need to run against ZooKeeper servers, real or embedded."""
