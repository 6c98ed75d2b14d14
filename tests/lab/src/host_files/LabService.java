import com.sun.net.httpserver.HttpServer;
import java.io.IOException;
import java.net.InetSocketAddress;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.LinkedBlockingQueue;

/** The lab's service: some live objects, named threads, and /health and /version over HTTP. */
public final class LabService {
    /** An order, so that a heap histogram has something to name. */
    static final class Order {
        final int number;
        final String customer;
        final byte[] document;

        Order(int number, int size) {
            this.number = number;
            this.customer = "customer-" + number % 97;
            this.document = new byte[size];
        }
    }

    static final Map<Integer, Order> ORDERS = new HashMap<>();
    static final LinkedBlockingQueue<Order> QUEUE = new LinkedBlockingQueue<>();
    static final Object LEFT = new Object();
    static final Object RIGHT = new Object();

    public static void main(String[] args) throws IOException {
        String name = args[0];
        String address = args[1];
        int port = Integer.parseInt(args[2]);
        int megabytes = Integer.parseInt(args[3]);
        for (int i = 0; i < megabytes * 1024; i++) {
            ORDERS.put(i, new Order(i, 900));
        }
        List<Thread> threads = new ArrayList<>();
        for (int i = 1; i <= 4; i++) {
            threads.add(new Thread(LabService::work, name + "-worker-" + i));
        }
        threads.add(new Thread(LabService::tick, name + "-ticker"));
        if (args.length > 4 && args[4].equals("deadlock")) {
            threads.add(new Thread(() -> lock(LEFT, RIGHT), name + "-transfer-1"));
            threads.add(new Thread(() -> lock(RIGHT, LEFT), name + "-transfer-2"));
        }
        for (Thread thread : threads) {
            thread.setDaemon(true);
            thread.start();
        }
        HttpServer server = HttpServer.create(new InetSocketAddress(address, port), 16);
        String version = version(name);
        answer(server, "/health", "ok\n");
        answer(server, "/version", version + "\n");
        server.start();
        System.out.println(name + " " + version + " listens on " + address + ":" + port);
    }

    /** What a deployment left in /opt/NAME/current/VERSION, else 1.0.0. */
    private static String version(String name) {
        try {
            return Files.readString(Path.of("/opt", name, "current", "VERSION")).trim();
        } catch (IOException e) {
            return "1.0.0";
        }
    }

    private static void answer(HttpServer server, String path, String body) {
        byte[] bytes = body.getBytes(StandardCharsets.UTF_8);
        server.createContext(path, exchange -> {
            exchange.sendResponseHeaders(200, bytes.length);
            exchange.getResponseBody().write(bytes);
            exchange.close();
        });
    }

    private static void work() {
        try {
            while (true) {
                QUEUE.take();
            }
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
        }
    }

    private static void tick() {
        try {
            for (int i = 0; ; i++) {
                QUEUE.offer(ORDERS.get(i % ORDERS.size()));
                Thread.sleep(1000);
            }
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
        }
    }

    private static void lock(Object first, Object second) {
        synchronized (first) {
            try {
                Thread.sleep(200);
            } catch (InterruptedException e) {
                return;
            }
            synchronized (second) {
                System.out.println("not reached");
            }
        }
    }
}
