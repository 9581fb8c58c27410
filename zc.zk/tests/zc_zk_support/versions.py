"""Behaviour that differs between releases of ZooKeeper.

Each constant has the first releases, one for each branch, with a behaviour.
"""

#: exists asks for READ where there is a node (ZOOKEEPER-2590).
EXISTS_ASKS = (3, 7, 3), (3, 8, 4), (3, 9, 2)

#: A create2 in a multi is answered with the Stat (ZOOKEEPER-4026).
MULTI_CREATES_TELL = (3, 8, 2), (3, 9, 0)

#: A check outside of a multi is refused (ZOOKEEPER-2623). Older servers never
#: answer a check that succeeds.
LONE_CHECKS_FAIL = (3, 8, 5), (3, 9, 3)

#: Watches of several kinds on one path are several watches
#: (ZOOKEEPER-4466), and removed by their kinds (ZOOKEEPER-4471, -4472).
WATCHES_ADD_UP = (3, 9, 0),

#: The header of a watch event has the zxid of the change (ZOOKEEPER-4655).
EVENTS_TELL_ZXIDS = (3, 9, 0),

#: A multi with a path that is malformed has no results, but one error for all
#: of it. Seen with 3.9.6, and not with 3.8.0; the release is not known.
BAD_PATHS_END_MULTIS = (3, 9, 6),

#: Access control lists may have IPv6 addresses (ZOOKEEPER-4240). The embedded
#: server refuses them, as older servers do.
IPV6_IN_ACLS = (3, 9, 4),


def does(servers, *releases: tuple[int, ...]) -> bool:
    """Return whether servers are of one of the releases, or later."""
    version = servers.version
    return version[:2] > max(releases)[:2] or any(
        version[:2] == release[:2] and version >= release
        for release in releases)
