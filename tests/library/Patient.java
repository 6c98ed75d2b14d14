import java.util.ArrayList;
import java.util.List;
import java.util.Random;

/** A program to take dumps of: holds some memory, and two threads that wait for each other where asked to. */
public class Patient {
    static final List<byte[]> KEPT = new ArrayList<>();

    public static void main(String[] words) throws Exception {
        Random random = new Random(1);
        for (int i = 0; i < Integer.getInteger("patient.mib", 4); i++) {
            byte[] block = new byte[1 << 20];
            random.nextBytes(block);
            KEPT.add(block);
        }
        if (Boolean.getBoolean("patient.deadlock")) {
            Object left = new Object();
            Object right = new Object();
            lock("first", left, right);
            lock("second", right, left);
            Thread.sleep(500);
        }
        System.out.println("ready");
        Thread.sleep(Long.MAX_VALUE);
    }

    static void lock(String name, Object first, Object second) {
        Thread thread = new Thread(() -> {
            synchronized (first) {
                try {
                    Thread.sleep(200);
                } catch (InterruptedException e) {
                    return;
                }
                synchronized (second) {
                    System.out.println("never");
                }
            }
        }, name);
        thread.setDaemon(true);
        thread.start();
    }
}
