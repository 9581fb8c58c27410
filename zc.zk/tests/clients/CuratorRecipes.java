import java.nio.charset.StandardCharsets;
import java.util.concurrent.Callable;
import java.util.concurrent.TimeUnit;
import org.apache.curator.framework.CuratorFramework;
import org.apache.curator.framework.CuratorFrameworkFactory;
import org.apache.curator.framework.recipes.cache.PathChildrenCache;
import org.apache.curator.framework.recipes.leader.LeaderLatch;
import org.apache.curator.framework.recipes.locks.InterProcessMutex;
import org.apache.curator.framework.recipes.nodes.PersistentNode;
import org.apache.curator.retry.RetryOneTime;
import org.apache.curator.x.discovery.ServiceDiscovery;
import org.apache.curator.x.discovery.ServiceDiscoveryBuilder;
import org.apache.curator.x.discovery.ServiceInstance;
import org.apache.zookeeper.CreateMode;

/** Use recipes of Apache Curator, and print a line for each that worked. */
public class CuratorRecipes {
    static CuratorFramework connect(String servers) throws Exception {
        CuratorFramework client = CuratorFrameworkFactory.newClient(
            servers, 5000, 5000, new RetryOneTime(100));
        client.start();
        if (!client.blockUntilConnected(20, TimeUnit.SECONDS)) {
            throw new Exception("not connected");
        }
        return client;
    }

    static void await(String what, Callable<Boolean> condition)
            throws Exception {
        long end = System.nanoTime() + TimeUnit.SECONDS.toNanos(20);
        while (!condition.call()) {
            if (System.nanoTime() > end) {
                throw new Exception("waited in vain for " + what);
            }
            Thread.sleep(10);
        }
    }

    static void persistentNode(CuratorFramework client,
                               CuratorFramework other) throws Exception {
        byte[] data = "here".getBytes(StandardCharsets.UTF_8);
        PersistentNode node = new PersistentNode(
            client, CreateMode.EPHEMERAL, false, "/nodes/one", data);
        node.start();
        node.waitForInitialCreate(20, TimeUnit.SECONDS);
        long first = other.checkExists().forPath("/nodes/one").getCzxid();
        other.delete().forPath("/nodes/one");
        await("the node", () -> {
            var stat = other.checkExists().forPath("/nodes/one");
            return stat != null && stat.getCzxid() > first;
        });
        node.close();
        await("its end",
              () -> other.checkExists().forPath("/nodes/one") == null);
        System.out.println("PersistentNode");
    }

    static void leaderLatch(CuratorFramework client, CuratorFramework other)
            throws Exception {
        LeaderLatch first = new LeaderLatch(client, "/leader", "first");
        first.start();
        first.await(20, TimeUnit.SECONDS);
        LeaderLatch second = new LeaderLatch(other, "/leader", "second");
        second.start();
        await("both", () -> first.getParticipants().size() == 2);
        if (second.hasLeadership() || !first.hasLeadership()) {
            throw new Exception("the wrong leader");
        }
        first.close();
        if (!second.await(20, TimeUnit.SECONDS)) {
            throw new Exception("no leader");
        }
        second.close();
        System.out.println("LeaderLatch");
    }

    static void mutex(CuratorFramework client, CuratorFramework other)
            throws Exception {
        InterProcessMutex ours = new InterProcessMutex(client, "/lock");
        InterProcessMutex theirs = new InterProcessMutex(other, "/lock");
        ours.acquire();
        if (theirs.acquire(100, TimeUnit.MILLISECONDS)) {
            throw new Exception("both have the lock");
        }
        ours.release();
        if (!theirs.acquire(20, TimeUnit.SECONDS)) {
            throw new Exception("nobody gets the lock");
        }
        theirs.release();
        System.out.println("InterProcessMutex");
    }

    static void pathChildrenCache(CuratorFramework client,
                                  CuratorFramework other) throws Exception {
        PathChildrenCache cache = new PathChildrenCache(
            client, "/cached", true);
        cache.start(PathChildrenCache.StartMode.BUILD_INITIAL_CACHE);
        other.create().forPath("/cached/a", new byte[] {1});
        await("a child", () -> cache.getCurrentData().size() == 1);
        other.setData().forPath("/cached/a", new byte[] {2});
        await("its data",
              () -> cache.getCurrentData("/cached/a").getData()[0] == 2);
        other.delete().forPath("/cached/a");
        await("its end", () -> cache.getCurrentData().isEmpty());
        cache.close();
        System.out.println("PathChildrenCache");
    }

    static void serviceDiscovery(CuratorFramework client,
                                 CuratorFramework other) throws Exception {
        ServiceInstance<Void> instance = ServiceInstance.<Void>builder()
            .name("web").address("192.0.2.7").port(8080).build();
        ServiceDiscovery<Void> ours = ServiceDiscoveryBuilder
            .builder(Void.class).client(client).basePath("/discovery")
            .thisInstance(instance).build();
        ours.start();
        ServiceDiscovery<Void> theirs = ServiceDiscoveryBuilder
            .builder(Void.class).client(other).basePath("/discovery").build();
        theirs.start();
        await("the service",
              () -> theirs.queryForInstances("web").size() == 1);
        int port = theirs.queryForInstances("web").iterator().next().getPort();
        if (port != 8080) {
            throw new Exception("another port: " + port);
        }
        ours.close();
        await("its end", () -> theirs.queryForInstances("web").isEmpty());
        theirs.close();
        System.out.println("ServiceDiscovery");
    }

    public static void main(String[] arguments) throws Exception {
        CuratorFramework client = connect(arguments[0]);
        CuratorFramework other = connect(arguments[0]);
        persistentNode(client, other);
        leaderLatch(client, other);
        mutex(client, other);
        pathChildrenCache(client, other);
        serviceDiscovery(client, other);
        // Curator makes the parents of these as containers.
        await("the end of the containers",
              () -> client.checkExists().forPath("/lock") == null
                  && client.checkExists().forPath("/leader") == null);
        System.out.println("containers");
        other.close();
        client.close();
    }
}
