"""What tests of registrations ask, and the node that they are about."""

PATH = '/service/providers'
NODE = PATH + '/192.0.2.7:8080'
ADDRESS = '192.0.2.7', 8080


def owner(zk, path=NODE):
    """Return the session that owns a node, 0 for none; None for no node."""
    stat = zk.exists(path)
    return stat and stat.ephemeralOwner


def session(zk):
    """Return the id of the session that a ZooKeeper object has now."""
    return zk.client.client_id[0]


def is_back(registration, times=1):
    """Return whether its nodes were created again, and it knows that.

    A registration counts and logs the creation before its state changes.
    """
    return (registration.reregistered == times
            and registration.state == 'registered')


def note_states(client):
    """Return a list to which each state of a kazoo client is added.

    Polling the client would miss states that last for milliseconds.
    """
    states = []
    client.add_listener(states.append)
    return states
