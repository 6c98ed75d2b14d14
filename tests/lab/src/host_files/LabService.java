import com.sun.net.httpserver.HttpExchange;
import com.sun.net.httpserver.HttpHandler;
import com.sun.net.httpserver.HttpServer;
import java.io.IOException;
import java.io.InputStream;
import java.net.InetSocketAddress;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.Executors;
import java.util.concurrent.LinkedBlockingQueue;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.jar.Manifest;

/**
 * The lab's service: some live objects, named threads, and over HTTP /health, /version, /work?ms=N (which takes that
 * long), and POST /drain and /restore: while drained, /health says 503 and everything else goes on. On SIGTERM it takes
 * no more connections, finishes the requests it has, and ends. It cannot start while /opt/NAME/crash is there.
 */
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
    static final AtomicInteger UNDER_WAY = new AtomicInteger();
    static volatile boolean drained;

    public static void main(String[] args) throws IOException {
        String name = args[0];
        String address = args[1];
        int port = Integer.parseInt(args[2]);
        int megabytes = Integer.parseInt(args[3]);
        if (Files.exists(Path.of("/opt", name, "crash"))) {
            throw new IllegalStateException(name + " cannot start: /opt/" + name + "/crash is there");
        }
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
        System.setProperty("sun.net.httpserver.nodelay", "true");
        HttpServer server = HttpServer.create(new InetSocketAddress(address, port), 64);
        AtomicInteger thread = new AtomicInteger();
        server.setExecutor(Executors.newFixedThreadPool(8, task -> {
            Thread worker = new Thread(task, name + "-http-" + thread.incrementAndGet());
            worker.setDaemon(true);
            return worker;
        }));
        String version = version(name);
        String host = Files.readString(Path.of("/proc/sys/kernel/hostname")).trim();
        on(server, "/health", exchange -> {
            boolean well = !drained;
            answer(exchange, well ? 200 : 503, well ? "ok\n" : "drained\n");
        });
        on(server, "/version", exchange -> answer(exchange, 200, version + "\n"));
        on(server, "/work", exchange -> {
            pause(exchange.getRequestURI().getQuery());
            answer(exchange, 200, host + " " + version + "\n");
        });
        on(server, "/drain", exchange -> drain(exchange, true));
        on(server, "/restore", exchange -> drain(exchange, false));
        server.start();
        // Without a request under way, stop would wait for nothing.
        Runtime.getRuntime().addShutdownHook(new Thread(() -> server.stop(UNDER_WAY.get() > 0 ? 10 : 0)));
        System.out.println(name + " " + version + " listens on " + address + ":" + port);
    }

    /** What its jar says, else what a deployment left in /opt/NAME/current/VERSION, else 1.0.0. */
    private static String version(String name) {
        try (InputStream manifest = LabService.class.getResourceAsStream("/META-INF/MANIFEST.MF")) {
            String own = manifest == null ? null : new Manifest(manifest).getMainAttributes().getValue("Implementation-Version");
            if (own != null) {
                return own;
            }
            return Files.readString(Path.of("/opt", name, "current", "VERSION")).trim();
        } catch (IOException e) {
            return "1.0.0";
        }
    }

    private static void on(HttpServer server, String path, HttpHandler handler) {
        server.createContext(path, exchange -> {
            UNDER_WAY.incrementAndGet();
            try {
                handler.handle(exchange);
            } finally {
                UNDER_WAY.decrementAndGet();
            }
        });
    }

    private static void pause(String query) {
        if (query == null || !query.startsWith("ms=")) {
            return;
        }
        try {
            Thread.sleep(Long.parseLong(query.substring(3)));
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
        }
    }

    private static void drain(HttpExchange exchange, boolean drain) throws IOException {
        if (exchange.getRequestMethod().equals("POST")) {
            drained = drain;
            answer(exchange, 200, drain ? "drained\n" : "restored\n");
        } else {
            answer(exchange, 405, "POST it\n");
        }
    }

    private static void answer(HttpExchange exchange, int status, String body) throws IOException {
        byte[] bytes = body.getBytes(StandardCharsets.UTF_8);
        exchange.sendResponseHeaders(status, bytes.length);
        exchange.getResponseBody().write(bytes);
        exchange.close();
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
